//! Checks of single values, as `deserialize_with` of the settings takes them.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de};
use url::Url;

use super::callback_origin::{CallbackOrigin, CallbackOrigins, LocalhostPorts};
use super::secret_source::{SecretSource, Unlock};
use crate::duration;
use crate::egress::EgressProxy;

/// A type that is read from a text.
pub(super) trait FromText: Sized {
    /// The error says what to write instead.
    fn from_text(text: &str) -> Result<Self, String>;
}

/// Reads a value, or one item of a list, by its [`FromText`].
struct Text<T>(T);

impl<'de, T: FromText> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::from_text(&String::deserialize(deserializer)?).map(Self).map_err(de::Error::custom)
    }
}

pub(super) fn each<'de, T: FromText, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Vec::<Text<T>>::deserialize(deserializer)?.into_iter().map(|text| text.0).collect())
}

pub(super) fn parsed<'de, T, D: Deserializer<'de>>(
    deserializer: D,
    parse: fn(&str) -> Result<T, String>,
) -> Result<T, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

impl FromText for PathBuf {
    fn from_text(text: &str) -> Result<Self, String> {
        let good = !text.is_empty() && !text.contains('\0');
        if good { Ok(text.into()) } else { Err("this is not a path; write one in quotes".to_owned()) }
    }
}

pub(super) fn path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    parsed(deserializer, PathBuf::from_text)
}

pub(super) fn some_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    path(deserializer).map(Some)
}

impl FromText for IpNet {
    /// A network, or one address.
    fn from_text(text: &str) -> Result<Self, String> {
        let one = || text.parse::<IpAddr>().ok().map(IpNet::from);
        match text.parse::<IpNet>().ok().or_else(one) {
            Some(network) if network.addr() == network.network() => Ok(network),
            Some(network) => Err(format!("'{text}' has bits beyond its prefix; write \"{}\"", network.trunc())),
            None => Err(format!("'{text}' is not a network; write for example \"10.0.0.0/8\" or \"fd00::/8\"")),
        }
    }
}

impl FromText for CallbackOrigin {
    fn from_text(text: &str) -> Result<Self, String> {
        Self::parse_entry(text)
    }
}

/// The origins; `oauth.localhost_ports` is added when the whole section is read.
pub(super) fn callback_origins<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CallbackOrigins, D::Error> {
    Ok(CallbackOrigins::new(each(deserializer)?, LocalhostPorts::default()))
}

/// A duration of `MIN` to `MAX` seconds.
pub(super) fn duration<'de, D: Deserializer<'de>, const MIN: u64, const MAX: u64>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    let (min, max) = (Duration::from_secs(MIN), Duration::from_secs(MAX));
    let span = duration::deserialize(deserializer)?;
    if (min..=max).contains(&span) {
        return Ok(span);
    }
    let (min, max) = (duration::show(min), duration::show(max));
    Err(de::Error::custom(format!("out of range; write a duration from {min} to {max}")))
}

pub(super) fn some_duration<'de, D: Deserializer<'de>, const MIN: u64, const MAX: u64>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    duration::<D, MIN, MAX>(deserializer).map(Some)
}

pub(super) fn number<'de, D: Deserializer<'de>, const MIN: usize, const MAX: usize>(
    deserializer: D,
) -> Result<usize, D::Error> {
    let number = usize::try_from(i64::deserialize(deserializer)?).ok();
    let in_range = number.filter(|number| (MIN..=MAX).contains(number));
    in_range.ok_or_else(|| de::Error::custom(format!("out of range; write a number from {MIN} to {MAX}")))
}

/// Bytes, written in MiB.
pub(super) fn mebibytes<'de, D: Deserializer<'de>, const MIN: usize, const MAX: usize>(
    deserializer: D,
) -> Result<u64, D::Error> {
    Ok((number::<D, MIN, MAX>(deserializer)? as u64) << 20)
}

pub(super) fn master_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Unlock, D::Error> {
    SecretSource::deserialize(deserializer).map(Unlock::MasterKey)
}

pub(super) fn passphrase<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Unlock>, D::Error> {
    Ok(Some(match SecretSource::deserialize(deserializer)? {
        SecretSource::Inline(word) if word.expose() == "prompt" => Unlock::Prompt,
        SecretSource::Inline(word) if word.expose() == "stdin" => Unlock::Stdin,
        source => Unlock::Passphrase(source),
    }))
}

/// A client id: visible ASCII and spaces (RFC 6749 appendix A.1).
pub(super) fn client_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    parsed(deserializer, |text| {
        if !text.is_empty() && text.bytes().all(|c| (0x20..=0x7e).contains(&c)) {
            return Ok(Some(text.to_owned()));
        }
        Err("a client id is not empty and has visible ASCII characters alone; copy it from the provider's page"
            .to_owned())
    })
}

pub(super) fn base_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    parsed(deserializer, |text| {
        let legal = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
        let segments_are_named = || text.split('/').skip(1).all(|segment| !matches!(segment, "" | "." | ".."));
        if text.is_empty() || (text.starts_with('/') && text.chars().all(legal) && segments_are_named()) {
            return Ok(text.to_owned());
        }
        Err("write a path with a slash before and none after it, such as \"/external-api\", or \"\" for none"
            .to_owned())
    })
}

pub(super) fn public_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    parsed(deserializer, |text| {
        let mut url = bare_url(text, "write for example \"https://strongroom.example.com\"")?;
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(url)
    })
}

pub(super) fn egress_proxy<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<EgressProxy>, D::Error> {
    parsed(deserializer, EgressProxy::parse).map(Some)
}

/// Parses an http or https URL without user info, query and fragment.
pub(super) fn bare_url(text: &str, advice: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("this is not a URL ({error}); {advice}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("the scheme is neither https nor http; {advice}"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(format!("it has user info, a query or a fragment; {advice}"));
    }
    Ok(url)
}
