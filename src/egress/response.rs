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
    if size(response.headers()) > limits.headers {
        return Err(EgressError::TooLarge);
    }
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

fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}
