//! A database server as the settings name it: how it is reached, where it stands, and whether a pooler stands between.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, PgConnection};

use super::durable::Words;

/// Statements kept prepared on each connection.
const STATEMENTS: usize = 128;
/// Ours, taken out before the driver reads the address.
const REGION: &str = "region";
const POOLED: [&str; 2] = ["pooled", "pgbouncer"];

/// One server.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Host and port: how it is named in logs, metrics and the console. Never a password.
    pub(crate) name: String,
    /// Where it stands; none = anywhere.
    pub(crate) region: Option<String>,
    /// A pooler in transaction mode stands between: no session locks, no LISTEN.
    pub(crate) pooled: bool,
    pub(crate) options: PgConnectOptions,
    /// What it is told first.
    words: Words,
    /// The same without the pooler, where it is known.
    direct: Option<PgConnectOptions>,
}

/// Why an address is refused. Never carries the address, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Another scheme.
    #[error("must begin with postgres:// or postgresql://")]
    Scheme,
    /// Not an address, or a parameter the driver refuses.
    #[error("is not an address of a PostgreSQL database")]
    Address,
}

impl Target {
    /// Reads `postgres://user:password@host:port/database?sslmode=…`; `region=NAME` says where the server stands,
    /// `pooled=true` that a pooler in transaction mode stands between (Neon's are known by their name). A statement may
    /// take so long.
    pub(crate) fn parse(
        url: &str,
        password: Option<&str>,
        statement: Duration,
    ) -> Result<Self, Refused> {
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(Refused::Scheme);
        }
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut region, mut pooled, mut kept) = (None, false, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some((REGION, name)) => region = Some(name.to_owned()),
                Some((name, yes)) if POOLED.contains(&name) => pooled = yes == "true",
                // A pooler binds no channel; the driver knows no word for it.
                Some(("channel_binding", _)) => {}
                _ => kept.push(pair),
            }
        }
        let address = format!("{address}?{}", kept.join("&"));
        let options = PgConnectOptions::from_str(&address).map_err(|_| Refused::Address)?;
        let mut options = options.statement_cache_capacity(STATEMENTS);
        if options.get_application_name().is_none() {
            options = options.application_name("mainstay");
        }
        if let Some(password) = password {
            options = options.password(password);
        }
        let host = options.get_host().to_owned();
        let name = match options.get_socket() {
            Some(path) => path.display().to_string(),
            None => format!("{host}:{}", options.get_port()),
        };
        let neon = direct_host(&host);
        let pooled = pooled || neon.is_some();
        if pooled {
            // PgBouncer refuses a connection that asks for it. It is about numbers as text, which nobody reads.
            options = options.extra_float_digits(None);
        }
        let direct = neon.as_deref().map(|host| options.clone().host(host));
        let words = Words::new(pooled, statement);
        Ok(Self { name, region, pooled, options, words, direct })
    }

    /// What each session is told first. One behind a pooler is told nothing: others would find it so.
    pub(crate) fn first_words(&self) -> Option<&str> {
        self.words.first.as_deref()
    }

    /// Begins a transaction whose commit is on the server's disk when it is answered.
    pub(super) async fn begin(&self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(self.words.begin.as_str())).execute(conn).await.map(drop)
    }

    /// How it is reached without a pooler, for session locks and migrations.
    pub(crate) fn direct(&self) -> Option<&PgConnectOptions> {
        if self.pooled { self.direct.as_ref() } else { Some(&self.options) }
    }

    /// Whether what is said to it may be read or answered by somebody else: another machine, and a certificate that
    /// nobody checks.
    pub(crate) fn is_exposed(&self) -> bool {
        let host = self.options.get_host();
        let local = self.options.get_socket().is_some()
            || host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let checked =
            matches!(self.options.get_ssl_mode(), PgSslMode::VerifyCa | PgSslMode::VerifyFull);
        !local && !checked
    }
}

/// Neon's pooled names hold `-pooler` behind the endpoint's id: `ep-cool-sun-123456-pooler.eu-central-1.aws.neon.tech`.
fn direct_host(host: &str) -> Option<String> {
    let (endpoint, rest) = host.split_once('.')?;
    let endpoint = endpoint.strip_suffix("-pooler")?;
    Some(format!("{endpoint}.{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(5);

    fn target(url: &str) -> Target {
        Target::parse(url, None, LONG).unwrap()
    }

    #[test]
    fn our_own_parameters_are_taken_out() {
        let t = target("postgres://u:p@db.example:6000/app?region=eu&sslmode=require&pooled=true");
        assert_eq!(
            (t.name.as_str(), t.region.as_deref(), t.pooled),
            ("db.example:6000", Some("eu"), true)
        );
        assert!(matches!(t.options.get_ssl_mode(), PgSslMode::Require));
        assert!(t.direct().is_none());
        assert!(t.is_exposed());
    }

    #[test]
    fn neons_pooler_is_told_from_the_direct_endpoint() {
        let host = "ep-cool-sun-123456-pooler.eu-central-1.aws.neon.tech";
        let t = target(&format!(
            "postgresql://u:p@{host}/neondb?sslmode=require&channel_binding=require"
        ));
        assert!(t.pooled);
        let direct = t.direct().unwrap().get_host();
        assert_eq!(direct, "ep-cool-sun-123456.eu-central-1.aws.neon.tech");
        let t = target("postgresql://u:p@ep-cool-sun-123456.eu-central-1.aws.neon.tech/neondb");
        assert!(!t.pooled);
        assert_eq!(t.direct().unwrap().get_host(), t.options.get_host());
    }

    #[test]
    fn passwords_come_from_elsewhere_and_are_never_shown() {
        assert_eq!(Target::parse("mysql://u:secret@h/d", None, LONG).unwrap_err(), Refused::Scheme);
        let broken = Target::parse("postgres://u:secret@h:port/d", None, LONG).unwrap_err();
        assert!(!format!("{broken} {broken:?}").contains("secret"));
        assert!(!target("postgres://u:secret@h/d").name.contains("secret"));
    }

    #[test]
    fn a_machine_of_ours_is_not_exposed() {
        for url in [
            "postgres://u@127.0.0.1/d",
            "postgres://u@localhost/d",
            "postgres://u@h/d?sslmode=verify-full",
        ] {
            assert!(!target(url).is_exposed(), "{url}");
        }
    }
}
