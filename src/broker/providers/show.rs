//! Answers the list of providers.

use super::list::{ProviderFilter, ProviderList, ProviderPage};
use crate::broker::parts::Broker;

impl Broker {
    /// Returns the providers that the filter selects.
    pub fn providers(&self, filter: &ProviderFilter) -> ProviderPage {
        let list = self.0.providers.get_or_init(|| ProviderList::of(&self.0.catalog, &self.0.clients));
        if *filter == ProviderFilter::default() { list.whole.clone() } else { list.select(filter) }
    }
}
