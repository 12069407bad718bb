//! Reading of a response that may be hostile: limited while it streams, counted after decoding.

use bytes::Bytes;
use http::HeaderMap;
use zeroize::Zeroizing;

use super::error::{EgressError, classify};
use super::message::{EgressLimits, EgressResponse};
use crate::secret;

/// Reads the whole body. `Content-Length` is ignored and every decoded byte is counted, so that a
/// small body that unpacks to gigabytes stops at the limit.
pub(super) async fn read(
    mut response: reqwest::Response,
    limits: &EgressLimits,
) -> Result<EgressResponse, EgressError> {
    check_headers(response.headers(), limits)?;
    let mut body = Zeroizing::new(Vec::new());
    while let Some(chunk) = response.chunk().await.map_err(|error| classify(&error))? {
        if body.len() + chunk.len() > limits.body {
            return Err(EgressError::TooLarge);
        }
        secret::append(&mut body, &chunk);
    }
    let status = response.status();
    Ok(EgressResponse { status, headers: std::mem::take(response.headers_mut()), body: Bytes::from_owner(body) })
}

/// Takes the status and the headers; the connection ends with the rest.
pub(super) fn head(mut response: reqwest::Response, limits: &EgressLimits) -> Result<EgressResponse, EgressError> {
    check_headers(response.headers(), limits)?;
    let status = response.status();
    Ok(EgressResponse { status, headers: std::mem::take(response.headers_mut()), body: Bytes::new() })
}

fn check_headers(headers: &HeaderMap, limits: &EgressLimits) -> Result<(), EgressError> {
    if size(headers) > limits.headers { Err(EgressError::TooLarge) } else { Ok(()) }
}

fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}
