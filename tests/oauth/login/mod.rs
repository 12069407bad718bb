//! Logins: from the login URL to a stored credential.

mod callback_origins;
mod connect;
mod device;
mod exportable;
mod failures;
mod flow;
mod inputs;
mod openid;
mod pushed_requests;
mod reconnect;
mod user_removed;
mod whole_loop;
