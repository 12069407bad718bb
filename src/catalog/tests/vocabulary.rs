//! The tables of the vocabulary in `docs/providers.md` are generated from the types, their
//! documentation and their attributes. To regenerate them: `UPDATE_DOCS=1 cargo test --lib
//! the_documented_vocabulary_is_that_of_the_types`

use std::fmt::Write as _;
use std::path::Path;

/// The files that the vocabulary is in.
const SOURCES: [&str; 15] = [
    include_str!("../entry/bound_host.rs"),
    include_str!("../entry/child_env.rs"),
    include_str!("../entry/client_auth.rs"),
    include_str!("../entry/mod.rs"),
    include_str!("../entry/grant.rs"),
    include_str!("../entry/identity.rs"),
    include_str!("../entry/input.rs"),
    include_str!("../entry/mcp.rs"),
    include_str!("../entry/oauth.rs"),
    include_str!("../entry/placement.rs"),
    include_str!("../entry/request.rs"),
    include_str!("../entry/revocation.rs"),
    include_str!("../entry/token.rs"),
    include_str!("../entry/value.rs"),
    include_str!("../../jose/algorithm.rs"),
];

/// Each section of an entry, and the type of it.
const SECTIONS: [(&str, &str); 16] = [
    ("entry", "Entry"),
    ("api_key", "ApiKeyPlacement"),
    ("user_password", "UserPassword"),
    ("host_scoped", "HostScoped"),
    ("hosts", "BoundHost"),
    ("mcp", "Mcp"),
    ("oauth", "OAuth"),
    ("oauth.jwt_bearer", "JwtBearer"),
    ("oauth.inputs.NAME", "Input"),
    ("oauth.further_tokens.NAME", "FurtherToken"),
    ("oauth.long_lived", "LongLived"),
    ("oauth.access_token", "AccessToken"),
    ("oauth.introspect", "Introspect"),
    ("oauth.identity", "Identity"),
    ("oauth.revoke", "Revoke"),
    ("oauth.refresh", "Refresh"),
];

/// Describes the values of a type that is neither a section nor a list of words.
const TAKES: [(&str, &str); 17] = [
    ("String", "a text"),
    ("bool", "`true` or `false`"),
    ("u16", "a number"),
    ("Template", "a URL, which may have [inputs](#inputs-urls-that-depend-on-the-customer) in it"),
    ("Endpoint", "a URL"),
    ("JsonPointer", "a JSON pointer (RFC 6901): `/user/name`"),
    ("Lifetime", "a time: `\"8h\"`, `\"90d\"`, or `\"never\"`"),
    ("ScopeSeparator", "`\" \"`, `\",\"`, `\"+\"`, `\", \"` or `\";\"`"),
    ("Pattern", "a regular expression"),
    ("HostPattern", "a host: `\"api.example.com\"`, `\"api.example.com:8443\"` or `\"*.example.com\"`"),
    ("PathPattern", "a pattern of a path: `\"/repos/*/issues\"`, `\"/git/**\"`"),
    ("PlaceholderPattern", "a text such as `\"ghp_{36}\"`"),
    ("BTreeMap<String, VariableTemplate>", "values by name: `{ GITHUB_TOKEN = \"{placeholder}\" }`"),
    ("Option<TokenAuth>", "a word of `token_auth`"),
    ("BTreeMap<String, Input>", "[inputs](#inputs-urls-that-depend-on-the-customer), each a section `inputs.NAME`"),
    ("BTreeMap<String, String>", "texts by name"),
    ("BTreeMap<String, Vec<String>>", "lists of texts by name"),
];

/// A member of a type, as its file has it.
struct Member {
    name: String,
    kind: String,
    meaning: String,
    attributes: String,
}

/// The lines between `head` and the brace at the beginning of a line that ends it, with what stands
/// right above it.
fn body(head: &str) -> Option<(&'static str, &'static str)> {
    SOURCES.iter().find_map(|source| {
        let (above, rest) = source.split_once(head)?;
        let inside = rest.strip_prefix("}").map(|_| "").or_else(|| Some(rest.split_once("\n}")?.0))?;
        let above = above.rsplit_once("\n\n").map_or(above, |(_, above)| above);
        Some((above, inside))
    })
}

fn members(head: &str) -> Vec<Member> {
    let (_, inside) = body(head).unwrap_or_else(|| panic!("there is no '{head}' among the sources"));
    let (mut found, mut meaning, mut attributes) = (Vec::new(), String::new(), String::new());
    for line in inside.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            meaning.push_str(text);
        } else if line.starts_with("#[") {
            attributes.push_str(line);
        } else if let Some(member) = line.strip_suffix(',') {
            let (name, kind) =
                member.strip_prefix("pub ").and_then(|rest| rest.split_once(": ")).unwrap_or((member, ""));
            let renamed = attributes.split_once("rename = \"").and_then(|(_, rest)| Some(rest.split_once('"')?.0));
            found.push(Member {
                name: renamed.unwrap_or(name).to_owned(),
                kind: kind.to_owned(),
                meaning: said(&std::mem::take(&mut meaning)),
                attributes: std::mem::take(&mut attributes),
            });
        }
    }
    found
}

/// The text of a comment as Markdown: what rustdoc makes a link of is plain here.
fn said(comment: &str) -> String {
    let mut text = comment.trim().replace('|', "\\|");
    while let Some((before, rest)) = text.split_once("[`") {
        let (link, after) = rest.split_once("`]").expect("a link ends");
        let name = link.rsplit("::").next().unwrap_or(link);
        text = format!("{before}`{name}`{after}");
    }
    text
}

/// The words of an enum: each with what it means, and whether it is the one where nothing is said.
fn words(name: &str) -> Option<Vec<(String, String, bool)>> {
    let head = format!("pub enum {name} {{");
    let (above, _) = body(&head)?;
    let cased = |variant: &str| match variant {
        _ if above.contains("\"UPPERCASE\"") => variant.to_uppercase(),
        _ if above.contains("\"snake_case\"") => snake_case(variant),
        _ => variant.to_owned(),
    };
    let word = |member: Member| {
        let renamed = member.attributes.contains("rename = ");
        let word = if renamed { member.name } else { cased(&member.name) };
        (word, member.meaning, member.attributes.contains("#[default]"))
    };
    Some(members(&head).into_iter().map(word).collect())
}

fn snake_case(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

/// Describes the values of a key of this type, and the meaning of each of its words.
fn takes(kind: &str) -> (String, String) {
    if let Some((_, takes)) = TAKES.iter().find(|(known, _)| *known == kind) {
        return ((*takes).to_owned(), String::new());
    }
    if let Some(inner) = kind.strip_prefix("Option<").and_then(|rest| rest.strip_suffix('>')) {
        return takes(inner);
    }
    if let Some(inner) = kind.strip_prefix("Vec<").and_then(|rest| rest.strip_suffix('>')) {
        let (of, meanings) = takes(inner);
        return (format!("a list, each {of}"), meanings);
    }
    let inner = kind.strip_prefix("BTreeMap<String, ").and_then(|rest| rest.strip_suffix('>')).unwrap_or(kind);
    if let Some((section, _)) = SECTIONS.iter().find(|(_, section)| *section == inner) {
        return (format!("the section `[{section}]`"), String::new());
    }
    let words = words(kind).unwrap_or_else(|| panic!("say in TAKES what a {kind} is"));
    let each: Vec<_> = words.iter().map(|(word, ..)| format!("`{word}`")).collect();
    let meanings = words.iter().fold(String::new(), |mut text, (word, meaning, _)| {
        if word == meaning {
            return text;
        }
        write!(text, "<br>`{word}`: {meaning}").unwrap();
        text
    });
    (each.join(", "), meanings)
}

/// Describes the default of a key.
fn default_of(member: &Member) -> String {
    let Member { kind, attributes, .. } = member;
    if !attributes.contains("default") && !member.kind.starts_with("Option<") {
        return "required".to_owned();
    }
    if let Some((_, rest)) = attributes.split_once("default = \"") {
        return value_of(rest.split('"').next().unwrap_or_default());
    }
    match kind.as_str() {
        "bool" => "`false`".to_owned(),
        "ScopeSeparator" => "`\" \"`".to_owned(),
        kind if kind.starts_with("Option<") => "none".to_owned(),
        kind if kind.starts_with("Vec<") => "`[]`".to_owned(),
        kind if kind.starts_with("BTreeMap<") => "none".to_owned(),
        kind => {
            let words = words(kind).unwrap_or_else(|| panic!("what is the default of a {kind}?"));
            let (word, ..) = words.into_iter().find(|(.., is_default)| *is_default).expect("a word is the default");
            format!("`{word}`")
        }
    }
}

/// Returns the result of a function without arguments, as its single line has it.
fn value_of(path: &str) -> String {
    let (owner, function) = path.rsplit_once("::").unwrap_or(("", path));
    let line = SOURCES.iter().find_map(|source| {
        let of = if owner.is_empty() { source } else { source.split_once(&format!("impl {owner} {{"))?.1 };
        let (_, rest) = of.split_once(&format!("fn {function}() -> "))?;
        rest.lines().nth(1)
    });
    let line = line.unwrap_or_else(|| panic!("there is no function '{function}'")).trim();
    let variant = |path: &str| snake_case(path.rsplit("::").next().unwrap_or(path));
    match line {
        "true" => "`true`".to_owned(),
        "Self::Post" => "`POST`".to_owned(),
        _ if line.starts_with("vec![") => {
            let items = line.trim_start_matches("vec![").trim_end_matches(']').split(", ");
            format!("`[{}]`", items.map(|path| format!("\"{}\"", variant(path))).collect::<Vec<_>>().join(", "))
        }
        _ if line.starts_with('[') => format!("`{}]`", line.split(']').next().unwrap_or_default()),
        _ => format!("`{}`", line.trim_end_matches(".to_owned()").trim_matches('"')),
    }
}

fn table(kind: &str) -> String {
    let members = members(&format!("pub struct {kind} {{"));
    if members.is_empty() {
        return "\nThis section has no keys.\n\n".to_owned();
    }
    let mut text = "\n| key | takes | meaning | default |\n|---|---|---|---|\n".to_owned();
    for member in members {
        let (takes, words) = takes(&member.kind);
        let (name, meaning, default) = (&member.name, &member.meaning, default_of(&member));
        writeln!(text, "| `{name}` | {takes} | {meaning}{words} | {default} |").unwrap();
    }
    text.push('\n');
    text
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test is told by its environment to write the file")]
fn the_documented_vocabulary_is_that_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/providers.md");
    let mut docs = std::fs::read_to_string(&path).unwrap();
    let mut stale = Vec::new();
    for (section, kind) in SECTIONS {
        let begin = format!("<!-- The keys of {section} are generated from the types; do not edit them here. -->\n");
        let end = "<!-- The end of the keys. -->\n";
        let (before, rest) = docs.split_once(&begin).unwrap_or_else(|| panic!("{begin} is missing"));
        let (there, after) = rest.split_once(end).expect("the keys end somewhere");
        let made = table(kind);
        if there != made {
            stale.push(section);
        }
        docs = format!("{before}{begin}{made}{end}{after}");
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, docs).unwrap();
    } else {
        let how = "UPDATE_DOCS=1 cargo test --lib the_documented_vocabulary_is_that_of_the_types";
        assert!(
            stale.is_empty(),
            "docs/providers.md does not say what the types say of {stale:?}; make it anew with\n{how}"
        );
    }
}

#[test]
fn words_defaults_and_links_are_parsed() {
    assert_eq!(said(" See [`OAuth::token_params`], [`Body`] | x "), "See `token_params`, `Body` \\| x");
    assert_eq!(value_of("Revoke::standard_tokens"), "`[\"refresh\", \"access\"]`");
    assert_eq!(
        [value_of("Revoke::standard_token_param"), value_of("LongLived::standard_token_param")],
        ["`token`", "`access_token`"]
    );
    assert_eq!([value_of("yes"), value_of("Method::post")], ["`true`", "`POST`"]);
    let auth = words("TokenAuth").unwrap();
    assert_eq!((auth[1].0.as_str(), auth[0].2, auth[1].2), ("basic_raw", true, false));
    assert_eq!(words("Method").unwrap()[2].0, "DELETE");
    assert_eq!(words("Algorithm").unwrap()[2].0, "EdDSA");
    assert_eq!(members("pub struct AccessToken {")[0].name, "in");
}
