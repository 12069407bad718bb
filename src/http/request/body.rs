//! Reads the bytes of a body within its size and its time. Parsing is `json_body`'s.

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use hyper::body::Body;
use zeroize::{Zeroize as _, Zeroizing};

use crate::http::limits::Limits;
use crate::http::problem::{self, Problem};

/// All bytes of the body, within its limits. A body may hold secrets: this copy of it is wiped when it is dropped.
pub(crate) async fn whole(
    headers: &HeaderMap,
    mut body: impl Body<Data = Bytes> + Unpin,
    limits: &Limits,
) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limits.body_bytes as u64) {
        return Err(too_large(limits));
    }
    let collect = async {
        let mut bytes = Zeroizing::new(Vec::new());
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|_| Problem::new(&problem::MALFORMED_REQUEST, "The body ended in the middle."))?;
            // What is not data are trailers, which nobody asked for.
            let Ok(piece) = frame.into_data() else { continue };
            if bytes.len() + piece.len() > limits.body_bytes {
                return Err(too_large(limits));
            }
            append(&mut bytes, piece);
        }
        Ok(bytes)
    };
    let too_slow = |_| Err(Problem::new(&problem::REQUEST_TIMEOUT, "The request's body did not come in time."));
    tokio::time::timeout(limits.body_time, collect).await.unwrap_or_else(too_slow)
}

/// Takes a piece over. A buffer that it does not fit into is wiped when it is left, and so is the piece, unless hyper still
/// has it.
fn append(bytes: &mut Zeroizing<Vec<u8>>, piece: Bytes) {
    let needed = bytes.len() + piece.len();
    if needed > bytes.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.next_power_of_two()));
        larger.extend_from_slice(bytes);
        *bytes = larger;
    }
    bytes.extend_from_slice(&piece);
    if let Ok(mut piece) = piece.try_into_mut() {
        piece.zeroize();
    }
}

fn too_large(limits: &Limits) -> Problem {
    let limit = limits.body_bytes;
    Problem::new(&problem::BODY_TOO_LARGE, format!("The body is larger than {limit} bytes.")).with("limit", limit)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::HeaderValue;
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;

    type Frames = Vec<Result<Frame<Bytes>, Infallible>>;

    fn pieces(pieces: Vec<Vec<u8>>) -> impl Body<Data = Bytes> + Unpin {
        let frames: Frames = pieces.into_iter().map(|piece| Ok(Frame::data(Bytes::from(piece)))).collect();
        StreamBody::new(futures_util::stream::iter(frames))
    }

    #[tokio::test]
    async fn the_size_is_counted_while_it_comes() {
        let limits = Limits { body_bytes: 10, ..Limits::default() };
        let read = async |count: usize| whole(&HeaderMap::new(), pieces(vec![vec![b'x'; 5]; count]), &limits).await;
        assert_eq!(read(2).await.unwrap().len(), 10);
        assert_eq!(read(3).await.unwrap_err().kind(), &problem::BODY_TOO_LARGE);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("11"));
        assert_eq!(whole(&headers, pieces(vec![]), &limits).await.unwrap_err().kind(), &problem::BODY_TOO_LARGE);
    }

    #[test]
    fn pieces_become_one_body() {
        let mut whole = Zeroizing::new(Vec::new());
        for _ in 0..10 {
            append(&mut whole, Bytes::from(b"secret ".repeat(100)));
        }
        assert_eq!(*whole, b"secret ".repeat(1000));
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_given_up() {
        let limits = Limits { body_time: std::time::Duration::from_millis(5), ..Limits::default() };
        let never = StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let refused = whole(&HeaderMap::new(), never, &limits).await.unwrap_err();
        assert_eq!(refused.kind(), &problem::REQUEST_TIMEOUT);
    }
}
