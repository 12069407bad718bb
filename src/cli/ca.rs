//! `strongroom ca`: the certification authority of the forward proxy.

use clap::Subcommand;

use super::confirm::Confirmation;
use super::context::Context;
use super::failure::Failure;
use super::output::Output;
use super::runtime::block_on;

/// Manage the certification authority that clients of the forward proxy trust
#[derive(Debug, Subcommand)]
pub(super) enum CaCommand {
    /// Print the certificate in PEM; the first call creates it. Its key is never shown
    Show {
        /// Print only the SHA-256 fingerprint of the certificate
        #[arg(long)]
        fingerprint: bool,
    },
    /// Replace the key and the certificate; every client must trust the new certificate
    Renew {
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

impl CaCommand {
    pub(super) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        match self {
            Self::Show { fingerprint } => {
                let ca = block_on(context.admin()?.proxy_ca())??;
                if fingerprint { out.line(ca.fingerprint()) } else { out.raw(ca.pem()) }
            }
            Self::Renew { confirmation } => {
                confirmation.confirm("Replace the proxy's authority? Clients that trust the old one will fail.")?;
                let ca = block_on(context.admin()?.renew_proxy_ca())??;
                out.line(format!("the new certificate has the fingerprint {}", ca.fingerprint()))
            }
        }
    }
}
