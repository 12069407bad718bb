//! `strongroom connect --device`: login on another device with a short code (RFC 8628).

use std::time::Duration;

use super::command::Connect;
use crate::broker::{Broker, Caller, CompleteResponse, DevicePoll, DevicePollRequest, Error};
use crate::cli::failure::Failure;
use crate::cli::output::note;
use crate::cli::runtime::signals;
use crate::duration;
use crate::secret::Secret;
use crate::visible::plain;

impl Connect {
    /// Shows the code and polls until the user has decided.
    pub(in crate::cli) async fn on_device(
        &self,
        broker: &Broker,
        caller: &Caller,
    ) -> Result<CompleteResponse, Failure> {
        let interrupted = signals()?;
        let begun = broker.begin_device(caller, &self.provider, self.request()).await;
        let begun = begun.map_err(|error| self.explained(error))?;
        note(format!("Open {} on any device and enter the code:\n", plain(&begun.verification_uri)));
        note(format!("  {}\n", plain(&begun.user_code)));
        if let Some(link) = &begun.verification_uri_complete {
            note(format!("Or open {}", plain(link)));
        }
        note(format!("Waiting until {}. Do not give this code to anyone.", begun.expires_at));

        let token = Secret::new(begun.device_token);
        let within = self.timeout.unwrap_or(Duration::from_secs(86_400));
        let failure = tokio::select! {
            ended = self.until_decided(broker, caller, &token, begun.interval) => return ended,
            () = tokio::time::sleep(within) => {
                Failure::new(format!("no decision within {}", duration::show(within))).advise("run the command again")
            }
            () = interrupted => Failure::new("interrupted; no account was connected"),
        };
        broker.abandon_device(caller, &self.provider, &token).await?;
        Err(failure)
    }

    async fn until_decided(
        &self,
        broker: &Broker,
        caller: &Caller,
        token: &Secret,
        mut interval: u64,
    ) -> Result<CompleteResponse, Failure> {
        loop {
            tokio::time::sleep(Duration::from_secs(interval)).await;
            // A task of its own: once the provider has issued tokens, nothing may interrupt before
            // they are stored.
            let (asking, whose, provider) = (broker.clone(), caller.clone(), self.provider.clone());
            let request = DevicePollRequest { device_token: token.clone() };
            let asked =
                tokio::spawn(async move { Box::pin(asking.device_poll(&whose, &provider, request)).await }).await;
            match asked.map_err(|error| Failure::new(format!("the poll failed: {error}")))? {
                Ok(DevicePoll::Connected(completed)) => return Ok(completed),
                Ok(DevicePoll::Waiting(waiting)) => interval = waiting.interval,
                Err(Error::StateInvalid(_)) => {
                    return Err(Failure::new("the code has expired").advise("run the command again"));
                }
                Err(error) => return Err(self.explained(error)),
            }
        }
    }
}
