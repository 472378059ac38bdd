//! What an operator may set about mail: one struct, no reading of files or environment.

use std::fmt;
use std::path::PathBuf;

use lettre::message::Mailbox;
use mainstay_base::units::{Size, Span};
use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// How letters are sent. Without `url` none is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The mail server: `"smtp://user:password@host:587"` becomes TLS where the server offers it (STARTTLS), `"smtps://…"` is TLS from the start (port 465). `?tls=required` at the end refuses a server that offers none, `?tls=none` never asks for it. A password is not sent without TLS unless `?tls=none` says so, or the server is on this machine. Signs in user and password are percent-encoded. Not set: no letters are sent.
    #[schemars(extend("writeOnly" = true))]
    pub url: Option<String>,
    /// Password of the user in `url`, where it does not stand there.
    #[schemars(extend("writeOnly" = true))]
    pub password: Option<String>,
    /// File in PEM with the certificate authorities that are trusted. Not set: those of this machine.
    pub ca_file: Option<PathBuf>,
    /// Who sends: `"Example Shop <shop@example.org>"`.
    #[schemars(extend("examples" = ["Example Shop <shop@example.org>"]))]
    pub from: Option<String>,
    /// Where answers go. Not set: to `from`.
    #[schemars(extend("examples" = ["help@example.org"]))]
    pub reply_to: Option<String>,
    /// Folder of the templates: `NAME.txt`, and `NAME.html` beside it.
    #[schemars(extend("examples" = ["./mail"]))]
    pub templates: Option<PathBuf>,
    /// Connections to the server at a time; further letters wait. Default 5.
    pub connections_max: u32,
    /// How long a connection is kept for the next letter. Default `"60s"`.
    pub idle: Span,
    /// How long connecting may take, TLS and signing in included. Default `"10s"`.
    pub connect_timeout: Span,
    /// How long the server may take for one letter. One that is slow has often taken it all the same, and a repetition comes twice. Default `"2m"`.
    pub timeout: Span,
    /// Recipients of one letter. Default 50.
    pub recipients_max: u32,
    /// Size of a template's file. Default `"256KiB"`.
    pub template_max: Size,
    /// Size of what a template becomes, of text and HTML each. Default `"1MiB"`.
    pub letter_max: Size,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: None,
            password: None,
            ca_file: None,
            from: None,
            reply_to: None,
            templates: None,
            connections_max: 5,
            idle: Span::seconds(60),
            connect_timeout: Span::seconds(10),
            timeout: Span::seconds(120),
            recipients_max: 50,
            template_max: Size::kib(256),
            letter_max: Size::mib(1),
        }
    }
}

/// A value that the schema lets pass and that means nothing. Repeats no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("mail.{field} {what}")]
pub struct Problem {
    /// The field.
    pub field: &'static str,
    /// What is wrong and what to write instead.
    pub what: String,
}

/// Where letters go.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: Tls,
    /// User and password.
    pub(crate) login: Option<(String, String)>,
    /// On this machine: nobody else reads what goes there.
    pub(crate) is_local: bool,
}

/// When the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    /// From the start.
    Always,
    /// Once the server was asked, or nothing is sent.
    Required,
    /// Once the server was asked, where it can.
    Offered,
    /// Not at all.
    Never,
}

/// RFC 8314 and RFC 6409.
const SMTPS: u16 = 465;
const SUBMISSION: u16 = 587;

impl Settings {
    /// Every value that means nothing.
    #[must_use]
    pub fn list_problems(&self) -> Vec<Problem> {
        let mailboxes = [("from", &self.from), ("reply_to", &self.reply_to)];
        let mailboxes =
            mailboxes.into_iter().filter_map(|(field, text)| mailbox(field, text).err());
        let mut problems: Vec<_> = self.target().err().into_iter().chain(mailboxes).collect();
        if self.url.is_some() && self.from.is_none() {
            let what =
                "is missing: letters need a sender, such as \"Example Shop <shop@example.org>\"";
            problems.push(Problem { field: "from", what: what.into() });
        }
        problems
    }

    /// The server, if there is one.
    pub(crate) fn target(&self) -> Result<Option<Target>, Problem> {
        let Some(text) = &self.url else { return Ok(None) };
        // Never repeated: it holds a password.
        let refuse = |what: &str| Problem { field: "url", what: what.into() };
        let form = "must be such as \"smtp://user:password@mail.example.org:587\"";
        let url = Url::parse(text).map_err(|_| refuse(form))?;
        let (is_smtps, port) = match url.scheme() {
            "smtps" => (true, SMTPS),
            "smtp" => (false, SUBMISSION),
            _ => return Err(refuse("must begin with smtp:// or smtps://")),
        };
        let (host, is_local) = host(&url).ok_or_else(|| refuse(form))?;
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(refuse(form));
        }
        let tls = match (is_smtps, url.query()) {
            (true, None) => Tls::Always,
            (false, None) => Tls::Offered,
            (false, Some("tls=required")) => Tls::Required,
            (false, Some("tls=none")) => Tls::Never,
            (true, Some(_)) => {
                return Err(refuse("with smtps:// is TLS already: nothing follows a ?"));
            }
            (false, Some(_)) => return Err(refuse("may end with ?tls=required or ?tls=none only")),
        };
        Ok(Some(Target {
            host,
            port: url.port().unwrap_or(port),
            tls,
            login: self.login(&url).map_err(refuse)?,
            is_local,
        }))
    }

    fn login(&self, url: &Url) -> Result<Option<(String, String)>, &'static str> {
        let decode = |text: &str| percent_decode_str(text).decode_utf8().ok().map(String::from);
        let not_text = "holds a user or password that is no text when it is percent-decoded";
        let user = decode(url.username()).ok_or(not_text)?;
        let password = match url.password() {
            Some(password) => Some(decode(password).ok_or(not_text)?),
            None => self.password.clone(),
        };
        match (user.is_empty(), password) {
            (true, None) => Ok(None),
            (false, Some(password)) => Ok(Some((user, password))),
            (true, Some(_)) => Err("needs a user for the password: smtp://user@host"),
            (false, None) => {
                Err("needs a password for its user: smtp://user:password@host, or mail.password")
            }
        }
    }
}

fn host(url: &Url) -> Option<(String, bool)> {
    // Of schemes that browsers do not know, the host is text.
    let name = url.host_str().filter(|name| !name.is_empty())?;
    Some(match Host::parse(name).ok()? {
        Host::Domain(name) => {
            let is_local = name == "localhost";
            (name, is_local)
        }
        Host::Ipv4(address) => (address.to_string(), address.is_loopback()),
        Host::Ipv6(address) => (address.to_string(), address.is_loopback()),
    })
}

/// The mailbox of a setting.
pub(crate) fn mailbox(
    field: &'static str,
    text: &Option<String>,
) -> Result<Option<Mailbox>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let what = format!("must be an address such as \"Shop <shop@example.org>\", not {text:?}");
    let parsed = text.parse().ok().filter(|_| !text.contains(char::is_control));
    parsed.map(Some).ok_or(Problem { field, what })
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Settings {
        Settings {
            url: Some(url.into()),
            from: Some("shop@example.org".into()),
            ..Settings::default()
        }
    }

    #[test]
    fn an_address_says_where_and_how() {
        let login = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        for (url, host, port, tls, wanted) in [
            ("smtp://mail.example.org", "mail.example.org", 587, Tls::Offered, None),
            ("smtps://mail.example.org", "mail.example.org", 465, Tls::Always, None),
            (
                "smtp://a:b@mail.example.org:25/?tls=required",
                "mail.example.org",
                25,
                Tls::Required,
                login("a", "b"),
            ),
            (
                "smtp://a%40x:p%2F%3A%25@127.0.0.1:1?tls=none",
                "127.0.0.1",
                1,
                Tls::Never,
                login("a@x", "p/:%"),
            ),
            ("smtp://[::1]", "::1", 587, Tls::Offered, None),
        ] {
            let target = of(url).target().expect(url).expect(url);
            assert_eq!((&*target.host, target.port, target.tls), (host, port, tls), "{url}");
            assert_eq!(target.login, wanted, "{url}");
            assert!(of(url).list_problems().is_empty(), "{url}");
        }
        let apart = Settings { password: Some("p/:%".into()), ..of("smtp://a@mail.example.org") };
        assert_eq!(apart.target().expect("fine").expect("one").login, login("a", "p/:%"));
    }

    #[test]
    fn what_means_nothing_is_told_without_a_secret() {
        for url in [
            "mail.example.org:sesame",
            "http://a:sesame@mail.example.org",
            "smtp://:sesame@mail.example.org",
            "smtp://sesame@mail.example.org",
            "smtp://a:sesame@mail.example.org/path",
            "smtp://a:sesame@mail.example.org?tls=maybe",
            "smtps://a:sesame@mail.example.org?tls=none",
            "smtp://a:sesame%FF@mail.example.org",
            "smtp://a:sesame@",
            "smtp:///",
        ] {
            let problems = of(url).list_problems();
            let [problem] = problems.as_slice() else { panic!("{url}: {problems:?}") };
            assert!(problem.field == "url" && !problem.to_string().contains("sesame"), "{problem}");
        }
        for (from, reply_to, field) in [
            (None, None, "from"),
            (Some("nobody"), None, "from"),
            (Some("a@example.org\r\nBcc: b@example.org"), None, "from"),
            (Some("a@example.org"), Some("b"), "reply_to"),
        ] {
            let text = |text: Option<&str>| text.map(str::to_owned);
            let settings = of("smtp://mail.example.org");
            let settings = Settings { from: text(from), reply_to: text(reply_to), ..settings };
            let fields: Vec<_> = settings.list_problems().iter().map(|p| p.field).collect();
            assert_eq!(fields, [field], "{from:?} {reply_to:?}");
        }
        assert!(Settings::default().list_problems().is_empty());
    }
}
