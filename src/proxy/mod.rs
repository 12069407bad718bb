//! The data path: requests that are sent with a credential which the caller never sees.
//!
//! [`Proxy`] is the pipeline that every entry point uses. [`Injection`] builds the head and the body
//! that an origin receives, and [`MaskedForms`] masks the secret in what the origin returns.

mod bind;
mod body;
mod exchange;
mod grant_rates;
mod inject;
mod json_member;
mod mask;
mod method;
mod pipeline;
mod placeholder;
mod prefer;
mod refusal;
mod response;
mod share;
mod strip;
mod unmatched;
mod websocket;

pub use body::StreamedBody;
pub use inject::{Injection, OutboundHead};
pub use mask::{MaskStream, MaskedForms};
pub use method::{is_refused_method, method_override};
pub use pipeline::{Proxy, ProxyLimits, ProxyRequest};
pub use placeholder::has_placeholder;
pub use refusal::{InjectError, ProxyError, RefusedRequest, RefusedSend};
pub use share::{CallerShare, Reservation, Reserve};
pub use strip::AuthSlots;
pub use unmatched::{PassThrough, PlainTunnel, UnmatchedRequest};
