//! Credentials: create, list, get, change and delete; the base URL of each.

pub(in crate::broker) mod base_url;
pub(in crate::broker) mod create;
pub(in crate::broker) mod delete;
pub(in crate::broker) mod exportable;
pub(in crate::broker) mod get;
pub(in crate::broker) mod list;
pub(in crate::broker) mod list_all;
mod service_account;

pub use base_url::{CredentialBase, NoBaseUrl};
pub use create::{CreateRequest, CreateResponse, GivenSecret, NewSecret, ServiceRequest};
pub use delete::DeleteResponse;
pub use get::{CredentialDetail, ShownBeside, ShownError};
pub use list::{CredentialList, CredentialSummary, DEFAULT_LIMIT};
pub use list_all::UserCredential;
pub use service_account::service_account;
