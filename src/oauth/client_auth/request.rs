//! Requests that authenticate the client: built from the entry, sent once for each client secret.

use std::collections::BTreeMap;

use http::HeaderMap;
use url::Url;

use super::client::Client;
use crate::catalog::entry::{Body, Method, OAuth, TokenAuth};
use crate::catalog::template::Template;
use crate::egress::{Egress, EgressError, EgressRequest, EgressResponse};
use crate::oauth::message::error::{BuildError, ClientRejection};
use crate::oauth::message::parameters::Parameters;
use crate::oauth::message::request::{accept_json, body};
use crate::oauth::message::sanitize::Sanitizer;
use crate::secret::Secret;

/// A request to an endpoint of the authorization server. The client's authentication is added when
/// it is sent.
pub(in crate::oauth) struct ClientRequest<'a> {
    pub(in crate::oauth) url: Url,
    /// True if a caller, or a server that a caller chose, named the host.
    pub(in crate::oauth) chosen: bool,
    pub(in crate::oauth) method: Method,
    pub(in crate::oauth) headers: HeaderMap,
    /// The client authentication; `None` if the request has another one, or none.
    pub(in crate::oauth) auth: Option<TokenAuth>,
    /// With GET the parameters go into the query.
    pub(in crate::oauth) encoding: Body,
    pub(in crate::oauth) parameters: Parameters,
    /// The entry's further parameters. They override nothing that is set before them.
    pub(in crate::oauth) further: Vec<&'a BTreeMap<String, String>>,
    /// Secrets of the request to mask in the response's texts, beside the client's own.
    pub(in crate::oauth) masked: Vec<&'a Secret>,
}

impl ClientRequest<'_> {
    /// Returns a POST of a form with the entry's client authentication.
    pub(in crate::oauth) fn post(url: &Template, entry: &OAuth, parameters: Parameters) -> Result<Self, BuildError> {
        Ok(Self {
            url: url.url().ok_or(BuildError::Url)?.clone(),
            chosen: url.host_is_chosen(),
            method: Method::Post,
            headers: HeaderMap::new(),
            auth: Some(entry.token_auth),
            encoding: Body::Form,
            parameters,
            further: Vec::new(),
            masked: Vec::new(),
        })
    }

    /// Sends the request and reads the response with `read`. If the server rejects the client, it
    /// has not looked at the rest, and the next secret is tried; otherwise the request is sent only
    /// once.
    pub(in crate::oauth) async fn send<T, E>(
        &self,
        egress: &Egress,
        entry: &OAuth,
        client: &Client,
        read: impl Fn(&EgressResponse, &Sanitizer) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: From<EgressError> + From<BuildError> + ClientRejection,
    {
        let mut sanitizer = Sanitizer::for_server(egress.is_chosen(self.chosen));
        client.mask_secrets(&mut sanitizer);
        for secret in &self.masked {
            sanitizer.mask(secret.expose());
        }
        let mut tries = client.tries(self.auth).into_iter().peekable();
        while let Some(client) = tries.next() {
            // Boxed, because the futures of whole use cases contain this one.
            let response = Box::pin(client.dpop.send::<E>(egress, None, || self.build(entry, &client))).await?;
            let outcome = read(&response, &sanitizer);
            match &outcome {
                Err(error) if error.rejects_client() && tries.peek().is_some() => continue,
                Err(_) => {}
                Ok(_) => client.keep_chosen_secret(),
            }
            return outcome;
        }
        Err(BuildError::NoClientSecret.into())
    }

    fn build(&self, entry: &OAuth, client: &Client) -> Result<EgressRequest, BuildError> {
        let (mut headers, mut parameters) = (self.headers.clone(), self.parameters.clone());
        if let Some(way) = self.auth {
            client.authenticate(way, entry, &mut headers, &mut parameters)?;
        }
        for params in &self.further {
            parameters.add(params);
        }
        parameters.rename(&entry.rename);
        accept_json(&mut headers);
        let mut url = self.url.clone();
        let body = match (self.method, self.encoding) {
            (_, Body::None) => None,
            (Method::Get, _) => {
                url.query_pairs_mut().extend_pairs(parameters.iter());
                None
            }
            (_, encoding) => body(encoding, &parameters, &mut headers),
        };
        Ok(EgressRequest { method: self.method.into(), url, headers, body, chosen: self.chosen })
    }
}
