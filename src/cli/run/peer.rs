//! The owner of a connection to the relay.
//!
//! On Linux the kernel lists every socket with its user. Elsewhere the owner is not known, and the
//! relay asks for a token instead.

use std::net::{IpAddr, SocketAddr};

use rustix::process::geteuid;

/// Lists of the kernel. A socket of IPv6 may be connected to an address of IPv4.
const LISTS: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// Returns true if the socket of the peer belongs to the user of this process.
pub(super) fn is_own(peer: SocketAddr, local: SocketAddr) -> bool {
    let mut lists = LISTS.iter().filter_map(|path| std::fs::read_to_string(path).ok());
    let owner = lists.find_map(|list| owner_in(&list, peer, local));
    owner == Some(geteuid().as_raw())
}

/// Returns the user of the socket at `peer` that is connected to `local`.
fn owner_in(list: &str, peer: SocketAddr, local: SocketAddr) -> Option<u32> {
    list.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_it = address(fields.get(1)?)? == peer && address(fields.get(2)?)? == local;
        // A socket that its process has closed has no inode, and the list shows root as its user.
        let is_open = is_it && fields.get(9)? != &"0";
        if is_open { fields.get(7)?.parse().ok() } else { None }
    })
}

/// Parses `0100007F:1F90`: words of the address in the machine's byte order, and the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let word = |at: usize| Some(u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes());
    let ip: IpAddr = match address.len() {
        8 => IpAddr::from(word(0)?),
        32 => {
            let mut bytes = [0; 16];
            for (at, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(at)?);
            }
            IpAddr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;

    const LIST: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 11 1 0 100 0 0 10 0
   1: 0100007F:9C40 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 12 1 0 20 4 0 10 -1
   2: 0100007F:9C41 0100007F:1F90 05 00000000:00000000 00:00000000 00000000     0        0 0 1 0 20 4 0 10 -1";

    #[test]
    fn owner_is_that_of_an_open_socket() {
        let owner = |list, peer: &str| owner_in(list, peer.parse().unwrap(), "127.0.0.1:8080".parse().unwrap());
        assert_eq!(owner(LIST, "127.0.0.1:40000"), Some(1000));
        assert_eq!(owner(LIST, "127.0.0.1:40001"), None, "a closed socket");
        assert_eq!(owner(LIST, "127.0.0.1:40002"), None);
        let six =
            "head\n 0: 0000000000000000FFFF00000100007F:9C40 0000000000000000FFFF00000100007F:1F90 01 0:0 0:0 0 7 0 9";
        assert_eq!(owner(six, "127.0.0.1:40000"), Some(7));
        for text in ["", "0100007F", "01:1", "0100007F:x", "é100007F:1F90"] {
            assert_eq!(address(text), None, "{text}");
        }
    }
}
