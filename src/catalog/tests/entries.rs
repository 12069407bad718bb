//! The embedded entries: names, scopes and endpoints that clients rely on.

use std::collections::BTreeMap;
use std::path::Path;

use crate::catalog::entry::{Body, OAuth, RevocationEnds, RevokeAuth, TokenAuth, TokenKind};
use crate::catalog::{Catalog, EMBEDDED, Entry};
use crate::duration;
use crate::kind::Kind;

/// Every provider of the issue, of `oauth.md`, and of AutoGPT's enum; `sandbox` is added by
/// `strongroom dev` alone.
const NAMES: &str = "aiml_api airtable anthropic apollo atlassian baas bannerbear compass d_id dakera database \
    dataforseo discord dropbox e2b elevenlabs enrichlayer exa fal firecrawl github gitlab google google_maps groq http \
    hubspot ideogram jina linear linkedin llama_api mcp medium mem0 microsoft notion nvidia ollama open_router openai \
    openweathermap pinecone reddit replicate revid screenshotone slack slant3d smartlead smtp spotify stagehand telegram \
    todoist twitter unreal_speech v0 webshare_proxy wordpress zerobounce zoom";

const UNCHECKED: &str = "ably abstract_api abuseipdb active_campaign ahrefs alienvault_otx alpha_vantage amazon_ads \
    anvil api_football apilayer attendee avalara azure_openai baremetrics beehiiv bigcommerce black_forest_labs \
    bland braintrust browserbase browserstack bubble bugsnag builtwith bungie canny chatwoot checkout_com chroma \
    clockify cognito_forms coinapi companies_house confluent convertapi core creatomate cronitor crunchbase \
    cryptocompare currencylayer deepinfra diffbot directus discogs docspring dolibarr doppler drata drip dynatrace \
    ebird ecwid edamam eia eodhd everhour exact_online factorial fathom financial_modeling_prep finnhub fixer \
    flutterwave folk football_data fred freshsales freshservice gandi garmin gemini geoapify giphy gladly godaddy \
    google_custom_search graphhopper greenhouse guardian guru harbor haveibeenpwned helicone here holded \
    home_connect honeybadger htmlcsstoimage humaans hunter hyperbrowser imgix immich incident_io infura insightly \
    invoice_ninja ipgeolocation iqair iterable jazzhr jotform jumpcloud jwplayer langsmith lastfm lattice leonardo \
    livestorm llamacloud locationiq luma lusha manatal mandrill maptiler marketstack matomo maxio mediastack moodle \
    moosend name_com nasa nasdaq_data_link ncbi netatmo neverbounce ngrok noaa_cdo nomic nowpayments npm ntfy \
    nutshell nytimes omdb onepassword_connect onepassword_events open_exchange_rates opencorporates openproject \
    oxylabs paperform papertrail paystack pdf_co pdfmonkey pexels phantombuster philips_hue photoroom pinboard \
    pingdom pinpoint pixabay placid poeditor portkey positionstack printful printify proxmox pushbullet pushover \
    qualtrics rabbitmq radarr rapidapi rawg readwise reamaze recruitee redmine remote remove_bg reply_io rescuetime \
    rev_ai riot rippling rows rudderstack runpod sambanova sauce_labs searchapi securitytrails segment \
    semantic_scholar semgrep semrush sendbird sentinelone serper servicem8 setlist_fm shipstation shortcut signwell \
    slite smartrecruiters smartsuite snipcart snipe_it sonarcloud sonarr sourcehut spoonacular stability statuspage \
    steam streak teamleader teamtailor textmagic ticketmaster ticktick tidio tiingo timely transifex transistor \
    travis_ci trustpilot twinfield umami urlbox us_census vectara visual_crossing voyage wave_accounting weatherbit \
    weaviate whereby wolfram_alpha wordpress_self_hosted wufoo xbox zabbix zendesk_sell zenrows";

const WITH_OAUTH: &str = "airtable atlassian discord dropbox github gitlab google hubspot linear linkedin microsoft \
    notion reddit slack spotify todoist twitter wordpress zoom";

/// The table of what clients of AutoGPT's API rely on: what is asked for when they ask for nothing,
/// and whether anything else can be asked for.
const DEFAULT_SCOPES: &[(&str, &str)] = &[
    (
        "google",
        "https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/userinfo.profile openid",
    ),
    ("github", ""),
    ("notion", ""),
    ("linear", ""),
    ("wordpress", ""),
    ("discord", "identify"),
    ("reddit", "identity read submit edit history privatemessages flair"),
    (
        "twitter",
        "tweet.read tweet.write tweet.moderate.write users.read follows.read follows.write offline.access space.read \
         mute.read mute.write like.read like.write list.read list.write block.read block.write bookmark.read \
         bookmark.write",
    ),
    ("todoist", "task:add data:read data:read_write data:delete project:delete"),
    ("airtable", "data.records:read data.records:write schema.bases:read schema.bases:write webhook:manage"),
];

/// The same table's other column, with where each provider says it.
const USERNAMES: &[(&str, Option<&str>)] = &[
    ("google", Some("/email")),
    ("github", Some("/login")),
    ("notion", Some("/owner/user/person/email")),
    ("linear", Some("/data/viewer/name")),
    ("wordpress", None),
    ("discord", Some("/username")),
    ("reddit", Some("/name")),
    ("twitter", Some("/data/username")),
    ("todoist", Some("/email")),
    ("airtable", None),
];

fn catalog() -> Catalog {
    Catalog::build([]).unwrap_or_else(|faults| panic!("{faults}"))
}

fn entry(name: &str) -> Entry {
    let (.., text) = EMBEDDED.iter().find(|(embedded, ..)| *embedded == name).unwrap_or_else(|| panic!("no {name}"));
    toml::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn oauth(name: &str) -> OAuth {
    entry(name).oauth.unwrap_or_else(|| panic!("{name} has no OAuth"))
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn every_embedded_entry_has_no_faults() {
    for (name, path, text) in EMBEDDED {
        let read = crate::catalog::build::read(&name.parse().unwrap(), Some((path, text)), None);
        assert!(read.is_ok(), "{read:?}");
    }
    assert_eq!(EMBEDDED.len(), catalog().iter().len());
}

#[test]
fn every_provider_that_clients_know_is_there() {
    let names: Vec<_> = catalog().iter().map(|provider| provider.name.to_string()).collect();
    for name in words(NAMES) {
        assert!(names.contains(&name), "{name}");
    }
}

#[test]
fn every_file_of_the_folder_is_embedded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("providers");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name()).collect();
    files.sort();
    let embedded: Vec<_> = EMBEDDED.iter().map(|(name, ..)| format!("{name}.toml")).collect();
    assert_eq!(files, embedded.iter().map(std::ffi::OsString::from).collect::<Vec<_>>());
}

#[test]
fn entries_take_api_keys_and_name_their_source() {
    let known = words(NAMES);
    let (mut undocumented, mut unchecked) = (Vec::new(), Vec::new());
    for provider in catalog().iter() {
        let Entry { docs, checked, category, .. } = &provider.entry;
        let takes = provider.entry.takes(Kind::ApiKey) || !known.contains(&provider.name.to_string());
        let is_hyphenated = |category: &String| category.bytes().all(|c| c.is_ascii_lowercase() || c == b'-');
        assert!(takes && category.as_ref().is_some_and(is_hyphenated), "{}", provider.name);
        assert!(checked.as_ref().is_none_or(|day| day.parse::<jiff::civil::Date>().is_ok()), "{}", provider.name);
        if docs.is_some() && checked.is_none() {
            unchecked.push(provider.name.as_str().to_owned());
        }
        match docs {
            Some(docs) => assert_eq!(docs.url().scheme(), "https", "{}", provider.name),
            None => undocumented.push(provider.name.as_str().to_owned()),
        }
    }
    // Two publish nothing about their keys, and one is whatever database the user has.
    assert_eq!(undocumented, ["compass", "database", "llama_api"]);
    // Written from public code or from copies of the documentation. After a comparison with the
    // provider's own page, set `checked` and remove the name here.
    assert_eq!(unchecked, words(UNCHECKED));
}

#[test]
fn kinds_other_than_api_keys_are_as_clients_expect() {
    let taking = |kind| -> Vec<String> {
        catalog().iter().filter(|provider| provider.entry.takes(kind)).map(|p| p.name.to_string()).collect()
    };
    let known = words(NAMES);
    let known_taking = |kind| taking(kind).into_iter().filter(|name| known.contains(name)).collect::<Vec<_>>();
    // `mcp` is ours to add: the original keeps a bearer token for it.
    let mut with_oauth = known_taking(Kind::OAuth2);
    with_oauth.retain(|name| name != "mcp");
    assert_eq!(with_oauth, words(WITH_OAUTH));
    assert_eq!(known_taking(Kind::UserPassword), words("smtp webshare_proxy"));
    assert_eq!(taking(Kind::HostScoped), words("http"));
}

#[test]
fn default_scopes_are_as_clients_expect() {
    for (name, scopes) in DEFAULT_SCOPES {
        assert_eq!(oauth(name).scopes_for(&[]), words(scopes), "{name}");
    }
}

#[test]
fn requested_scopes_replace_the_defaults_alone() {
    let asked = words("one two");
    for name in ["twitter", "todoist"] {
        assert_eq!(oauth(name).scopes_for(&asked), oauth(name).scopes_for(&[]), "{name}");
    }
    assert_eq!(oauth("notion").scopes_for(&asked), words(""), "Notion has no scopes");
    assert_eq!(oauth("google").scopes_for(&asked), [asked.clone(), oauth("google").always_scopes].concat());
    for name in ["github", "linear", "wordpress", "discord", "reddit", "airtable"] {
        assert_eq!(oauth(name).scopes_for(&asked), asked, "{name}");
    }
}

#[test]
fn a_username_is_read_from_where_clients_expect_it() {
    for (name, pointer) in USERNAMES {
        let identity = oauth(name).identity.unwrap_or_else(|| panic!("{name}"));
        assert_eq!(identity.username.as_ref().map(crate::catalog::value::JsonPointer::as_str), *pointer, "{name}");
    }
    assert_eq!(oauth("notion").identity.unwrap().title.unwrap().as_str(), "/workspace_name");
}

#[test]
fn accounts_can_be_told_apart_at_every_provider() {
    for name in words(WITH_OAUTH) {
        assert!(oauth(&name).identity.is_some_and(|identity| identity.account.is_some()), "{name}");
    }
}

#[test]
fn pkce_is_off_only_where_the_provider_rejects_it() {
    let off: Vec<_> = words(WITH_OAUTH).into_iter().filter(|name| !oauth(name).pkce).collect();
    assert_eq!(off, ["linkedin", "notion", "slack"]);
}

#[test]
fn separators_authentication_and_bodies_are_kept() {
    let commas: Vec<_> =
        words(WITH_OAUTH).into_iter().filter(|name| oauth(name).scope_separator.as_str() == ",").collect();
    assert_eq!(commas, ["linear", "slack", "todoist"]);
    let json: Vec<_> = words(WITH_OAUTH).into_iter().filter(|name| oauth(name).token_body == Body::Json).collect();
    assert_eq!(json, ["atlassian", "notion"]);
    let basic: Vec<_> =
        words(WITH_OAUTH).into_iter().filter(|name| oauth(name).token_auth == TokenAuth::Basic).collect();
    assert_eq!(basic, words("airtable discord dropbox notion reddit slack spotify twitter zoom"));
    assert!(words(WITH_OAUTH).iter().all(|name| oauth(name).token_auth != TokenAuth::None));
}

#[test]
fn parameters_for_a_refresh_token_are_sent() {
    for (name, params) in [
        ("google", "access_type=offline prompt=consent"),
        ("reddit", "duration=permanent"),
        ("dropbox", "token_access_type=offline"),
        ("atlassian", "audience=api.atlassian.com prompt=consent"),
        ("notion", "owner=user"),
    ] {
        let given: Vec<_> =
            oauth(name).authorize_params.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(given, words(params), "{name}");
    }
    assert!(oauth("twitter").always_scopes.contains(&"offline.access".to_owned()));
    for name in ["microsoft", "atlassian"] {
        assert!(oauth(name).default_scopes.contains(&"offline_access".to_owned()), "{name}");
    }
}

#[test]
fn refresh_tokens_live_as_long_as_the_provider_says() {
    let lifetimes: BTreeMap<String, String> = words(WITH_OAUTH)
        .into_iter()
        .filter_map(|name| {
            let span = oauth(&name).refresh?.lifetime?.duration()?;
            Some((name, duration::show(span)))
        })
        .collect();
    let expected = [
        ("airtable", "60d"),
        ("atlassian", "90d"),
        ("github", "184d"),
        ("google", "180d"),
        ("linkedin", "365d"),
        ("microsoft", "90d"),
        ("zoom", "90d"),
    ];
    assert_eq!(lifetimes, expected.map(|(name, span)| (name.to_owned(), span.to_owned())).into());
    let rotating = words("airtable atlassian github gitlab linear notion slack twitter zoom");
    let rotates = |name: &String| oauth(name).refresh.is_some_and(|refresh| refresh.rotates);
    assert_eq!(words(WITH_OAUTH).into_iter().filter(rotates).collect::<Vec<_>>(), rotating);
}

#[test]
fn a_revocation_ends_the_grant_unless_documented() {
    let (mut none, mut token) = (Vec::new(), Vec::new());
    for name in words(WITH_OAUTH) {
        match oauth(&name).revoke.map(|revoke| revoke.ends) {
            None => none.push(name),
            Some(RevocationEnds::Token) => token.push(name),
            Some(RevocationEnds::Grant) => {}
        }
    }
    assert_eq!(none, words("airtable atlassian linkedin microsoft spotify wordpress"));
    assert_eq!(token, words("dropbox gitlab hubspot reddit"));
}

#[test]
fn github_ends_a_grant_in_its_own_way() {
    let revoke = oauth("github").revoke.unwrap();
    assert_eq!(revoke.url.as_str(), "https://api.github.com/applications/{client_id}/grant");
    assert_eq!((revoke.auth, revoke.body), (RevokeAuth::Basic, Body::Json));
    assert_eq!(
        (revoke.token_param.as_str(), revoke.tokens, revoke.hint),
        ("access_token", vec![TokenKind::Access], false)
    );
}

#[test]
fn an_expired_access_token_is_not_a_dead_grant() {
    for name in words(WITH_OAUTH) {
        let OAuth { revoke: Some(revoke), refresh, .. } = oauth(&name) else { continue };
        let only_access = revoke.tokens == [TokenKind::Access];
        let expired = |error: &String| error == "token_expired" || error == "invalid_token";
        let deceived = revoke.gone_errors.iter().any(expired) || !revoke.gone_statuses.is_empty();
        assert!(!(only_access && refresh.is_some() && deceived), "{name}");
    }
}

#[test]
fn an_entry_shown_as_toml_reads_back() {
    for provider in catalog().iter() {
        let shown = toml::to_string(&provider.entry).unwrap();
        let again: Entry = toml::from_str(&shown).unwrap_or_else(|error| panic!("{}: {error}\n{shown}", provider.name));
        assert_eq!(toml::to_string(&again).unwrap(), shown, "{}", provider.name);
    }
}

#[test]
fn names_of_one_server_share_the_account_id() {
    let catalog = catalog();
    let account = |oauth: &OAuth| {
        let identity = oauth.identity.clone();
        identity.map(|identity| format!("{:?} {:?}", identity.url, identity.account))
    };
    let ends_grants = |oauth: &OAuth| oauth.revoke.as_ref().is_some_and(|revoke| revoke.ends == RevocationEnds::Grant);
    for provider in catalog.iter() {
        let Some(oauth) = provider.entry.oauth.as_ref().filter(|oauth| ends_grants(oauth)) else { continue };
        for name in catalog.of_the_same_server(provider) {
            let other = catalog.get(name.as_str()).unwrap();
            let theirs = other.entry.oauth.as_ref().unwrap();
            assert_eq!(account(theirs), account(oauth), "{} and {}", other.name, provider.name);
            assert!(theirs.revoke.is_some(), "{} ends no grant, and {} does", other.name, provider.name);
        }
    }
    assert!(catalog.of_the_same_server(catalog.get("gmail").unwrap()).len() > 20);
}

#[test]
fn meta_entries_use_no_pkce_and_a_long_lived_token() {
    for name in
        ["facebook", "facebook_pages", "facebook_lead_ads", "messenger", "meta_ads", "whatsapp_business", "nylas"]
    {
        assert!(!oauth(name).pkce, "{name}");
        let how = oauth(name).long_lived.map(|how| how.grant_type);
        assert_eq!(how.as_deref(), (name != "nylas").then_some("fb_exchange_token"), "{name}");
    }
}

#[test]
fn microsoft_entries_take_a_tenant() {
    let at_microsoft = |(_, _, text): &&(&str, &str, &str)| text.contains("login.microsoftonline.com");
    let names: Vec<_> = EMBEDDED.iter().filter(at_microsoft).map(|(name, ..)| *name).collect();
    assert!(names.len() >= 15, "{names:?}");
    for name in names {
        let oauth = oauth(name);
        let tenant = oauth.inputs.get("tenant").unwrap_or_else(|| panic!("{name} has no tenant"));
        assert!(matches!(tenant.default.as_deref(), Some("common" | "organizations")), "{name}");
        for (value, taken) in [("contoso.onmicrosoft.com", true), ("72f988bf-86f1-41af-91ab-2d7cd011db47", true)] {
            assert_eq!(tenant.taken(value).is_some(), taken, "{name}: {value}");
        }
        for bad in ["../common", "a/b", "a?b", "", ".."] {
            assert_eq!(tenant.taken(bad), None, "{name}: {bad}");
        }
    }
    assert_eq!(oauth("microsoft").inputs["tenant"].default.as_deref(), Some("common"));
}

#[test]
fn fitbit_says_that_its_oauth_has_ended() {
    let notes = entry("fitbit").notes.join(" ");
    assert!(notes.contains("410") && notes.contains("Google Health"), "{notes}");
}

#[test]
fn amazon_ads_consents_are_regional() {
    let inputs = oauth("amazon_ads").inputs;
    for (name, europe) in [
        ("login_host", "eu.account.amazon.com"),
        ("token_host", "api.amazon.co.uk"),
        ("api_host", "advertising-api-eu.amazon.com"),
    ] {
        assert!(inputs[name].taken(europe).is_some() && inputs[name].default.is_some(), "{name}");
        assert_eq!(inputs[name].taken("evil.example"), None, "{name}");
    }
}
