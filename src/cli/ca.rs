//! `strongroom ca`: the certification authority of the forward proxy.

use clap::Subcommand;

use super::confirm::Confirmation;
use super::context::Context;
use super::failure::Failure;
use super::output::Output;
use super::runtime::block_on;
use super::trust::SystemStore;

/// Manage the certification authority that clients of the forward proxy trust
#[derive(Debug, Subcommand)]
pub(super) enum CaCommand {
    /// Print the certificate in PEM; the first call creates it. Its key is never shown
    Show {
        /// Print only the SHA-256 fingerprint of the certificate
        #[arg(long)]
        fingerprint: bool,
    },
    /// Add the certificate to the certificate store of this system
    ///
    /// On Debian, Alpine, Fedora, openSUSE and Arch Linux, this needs root. On macOS it is added to
    /// the login keychain. All programs that use the store then trust it.
    Trust {
        /// Print the commands that do it, and change nothing
        #[arg(long)]
        print: bool,
        #[command(flatten)]
        confirmation: Confirmation,
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
            Self::Trust { print, confirmation } => {
                let ca = block_on(context.admin()?.proxy_ca())??;
                let store = SystemStore::find()?;
                if print {
                    return out.line(store.commands(&ca.pem()));
                }
                if !store.is_writable() {
                    return Err(Failure::new("only root can change the certificate store of this system")
                        .advise("run the commands of `strongroom ca trust --print`"));
                }
                confirmation.confirm("Let all programs of this system trust the proxy's authority?")?;
                store.add(&ca.pem())?;
                out.line(format!("the system trusts the certificate with the fingerprint {}", ca.fingerprint()))
            }
            Self::Renew { confirmation } => {
                confirmation.confirm("Replace the proxy's authority? Clients that trust the old one will fail.")?;
                let ca = block_on(context.admin()?.renew_proxy_ca())??;
                out.line(format!("the new certificate has the fingerprint {}", ca.fingerprint()))
            }
        }
    }
}
