//! Reads the bytes of a body within its limits of size and time. `json_body` parses them.

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use zeroize::{Zeroize as _, Zeroizing};

use crate::http::body_budget::BodyShare;
use crate::http::limits::Limits;
use crate::http::problem::{self, Problem};
use crate::secret;

/// Reads a whole body. It may hold secrets: this copy is wiped when it is dropped.
///
/// `announced` is its `Content-Length`, if it has one: a body that is too large, or for which
/// `share` has no room, is then refused before it is read.
pub(crate) async fn read<E>(
    body: &mut (impl Stream<Item = Result<Bytes, E>> + Unpin),
    announced: Option<u64>,
    share: &mut BodyShare<'_>,
    limits: &Limits,
) -> Result<Zeroizing<Vec<u8>>, Problem> {
    if announced.is_some_and(|length| length > limits.body_bytes as u64) {
        return Err(too_large(limits));
    }
    share.reserve(announced.map_or(0, |length| usize::try_from(length).unwrap_or(usize::MAX)))?;
    let collect = async {
        let mut bytes = Zeroizing::new(Vec::new());
        while let Some(chunk) = body.next().await {
            let chunk =
                chunk.map_err(|_| Problem::new(&problem::MALFORMED_REQUEST, "The body ended in the middle."))?;
            if bytes.len() + chunk.len() > limits.body_bytes {
                return Err(too_large(limits));
            }
            share.grow(bytes.len() + chunk.len())?;
            secret::append(&mut bytes, &chunk);
            // hyper may still share its memory.
            if let Ok(mut chunk) = chunk.try_into_mut() {
                chunk.zeroize();
            }
        }
        Ok(bytes)
    };
    let too_slow = |_| Err(Problem::new(&problem::REQUEST_TIMEOUT, "The request's body did not come in time."));
    tokio::time::timeout(limits.body_time, collect).await.unwrap_or_else(too_slow)
}

fn too_large(limits: &Limits) -> Problem {
    let limit = limits.body_bytes;
    Problem::new(&problem::BODY_TOO_LARGE, format!("The body is larger than {limit} bytes.")).with("limit", limit)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;

    use super::*;
    use crate::http::body_budget::BodyBudget;

    fn chunks(count: usize) -> impl Stream<Item = Result<Bytes, Infallible>> + Unpin {
        stream::iter((0..count).map(|_| Ok(Bytes::from_static(b"xxxxx"))))
    }

    #[tokio::test]
    async fn size_is_counted_while_the_body_comes() {
        let limits = Limits { body_bytes: 10, ..Limits::default() };
        let budget = BodyBudget::new(&limits);
        let share = || budget.share("key".to_owned());
        let read = async |count, announced| read(&mut chunks(count), announced, &mut share(), &limits).await;
        assert_eq!(read(2, None).await.unwrap().len(), 10);
        assert_eq!(read(3, None).await.unwrap_err().kind(), &problem::BODY_TOO_LARGE);
        assert_eq!(read(0, Some(11)).await.unwrap_err().kind(), &problem::BODY_TOO_LARGE);
    }

    #[tokio::test]
    async fn chunks_become_one_body() {
        let mut body = stream::iter((0..10).map(|_| Ok::<_, Infallible>(Bytes::from(b"secret ".repeat(100)))));
        let limits = Limits::default();
        let budget = BodyBudget::new(&limits);
        let mut share = budget.share("key".to_owned());
        assert_eq!(*read(&mut body, None, &mut share, &limits).await.unwrap(), b"secret ".repeat(1000));
    }

    #[tokio::test]
    async fn endless_body_times_out() {
        let limits = Limits { body_time: std::time::Duration::from_millis(5), ..Limits::default() };
        let mut never = stream::pending::<Result<Bytes, Infallible>>();
        let budget = BodyBudget::new(&limits);
        let mut share = budget.share("key".to_owned());
        assert_eq!(read(&mut never, None, &mut share, &limits).await.unwrap_err().kind(), &problem::REQUEST_TIMEOUT);
    }
}
