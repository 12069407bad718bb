//! SQLite: the writer, the readers, the migrations. Moves sealed bytes; holds no key.

mod error;

pub use error::StoreError;
