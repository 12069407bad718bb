//! Credentials: create, list, get, change and delete.

mod create;
mod delete;
pub(in crate::broker) mod get;
pub(in crate::broker) mod list;
mod service_account;

pub use create::{CreateRequest, CreateResponse, NewSecret, ServiceRequest};
pub use delete::DeleteResponse;
pub use get::{CredentialDetail, ShownBeside, ShownError};
pub use list::{CredentialList, CredentialSummary};
pub use service_account::{ServiceFault, service_account};
