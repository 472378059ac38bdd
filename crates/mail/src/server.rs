//! The mail server: connections to it that are kept for the next letter, and how one is made. Knows nothing of letters.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lettre::transport::smtp;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::extension::ClientId;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::error::{self, Error, SetupError};
use crate::letter::Message;
use crate::settings::{Settings, Target, Tls};

/// Those that send the password itself, which is why they want TLS.
const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];

/// A server and the connections to it.
pub(crate) struct Server {
    target: Target,
    tls: Option<TlsParameters>,
    hello: ClientId,
    connect_timeout: Duration,
    timeout: Duration,
    idle_for: Duration,
    room: Semaphore,
    idle: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
}

impl Server {
    pub(crate) fn new(target: Target, settings: &Settings) -> Result<Self, SetupError> {
        let tls = match target.tls {
            Tls::Never => None,
            _ => Some(trust(&target.host, settings)?),
        };
        Ok(Self {
            target,
            tls,
            hello: ClientId::default(),
            connect_timeout: settings.connect_timeout.0,
            timeout: settings.timeout.0,
            idle_for: settings.idle.0,
            room: Semaphore::new(settings.connections_max.max(1) as usize),
            idle: Mutex::default(),
        })
    }

    /// Waits for a connection and until the server has taken the letter.
    pub(crate) async fn send(&self, message: &Message) -> Result<(), Error> {
        let away = || Error::Unavailable("the way to the mail server is closed".into());
        let _place = self.room.acquire().await.map_err(|_| away())?;
        let mut connection = self.connection().await?;
        let sending = connection.send(&message.envelope, &message.bytes);
        match timeout(self.timeout, sending).await {
            Ok(Ok(_)) => {
                self.lock().push((connection, Instant::now()));
                Ok(())
            }
            Ok(Err(error)) => Err(error::of_letter(&error, message)),
            Err(_) => Err(Error::Unavailable(format!(
                "the mail server did not take the letter within mail.timeout ({:?})",
                self.timeout
            ))),
        }
    }

    /// One that is still good, or a new one.
    async fn connection(&self) -> Result<AsyncSmtpConnection, Error> {
        let connecting = async {
            while let Some(mut kept) = self.take() {
                if kept.test_connected().await {
                    return Ok(kept);
                }
            }
            self.connect().await
        };
        match timeout(self.connect_timeout, connecting).await {
            Ok(connected) => connected,
            Err(_) => Err(Error::Unavailable(format!(
                "{} did not answer within mail.connect_timeout ({:?})",
                self.name(),
                self.connect_timeout
            ))),
        }
    }

    /// The one that was used last; those that nobody has used for long are closed.
    fn take(&self) -> Option<AsyncSmtpConnection> {
        let mut idle = self.lock();
        let now = Instant::now();
        idle.retain(|(_, since)| now.duration_since(*since) < self.idle_for);
        idle.pop().map(|(connection, _)| connection)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let Target { host, port, .. } = &self.target;
        let at_once = self.tls.clone().filter(|_| self.target.tls == Tls::Always);
        let wait = Some(self.connect_timeout);
        let connecting = AsyncSmtpConnection::connect_tokio1(
            (host.as_str(), *port),
            wait,
            &self.hello,
            at_once,
            None,
        );
        let mut connection = connecting.await.map_err(|error| self.not_connected(&error))?;
        self.encrypt(&mut connection).await?;
        self.sign_in(&mut connection).await?;
        Ok(connection)
    }

    async fn encrypt(&self, connection: &mut AsyncSmtpConnection) -> Result<(), Error> {
        let Some(tls) = self.tls.clone().filter(|_| !connection.is_encrypted()) else {
            return Ok(());
        };
        if connection.can_starttls() {
            let encrypting = connection.starttls(tls, &self.hello).await;
            return encrypting.map_err(|error| self.not_connected(&error));
        }
        if self.target.tls == Tls::Required {
            return Err(Error::Unavailable(format!(
                "{} offers no TLS, and mail.url wants it (?tls=required)",
                self.name()
            )));
        }
        Ok(())
    }

    async fn sign_in(&self, connection: &mut AsyncSmtpConnection) -> Result<(), Error> {
        let Some((user, password)) = &self.target.login else { return Ok(()) };
        let may_be_read = !connection.is_encrypted() && !self.target.is_local;
        if may_be_read && self.target.tls != Tls::Never {
            return Err(Error::Unavailable(format!(
                "{} offers no TLS, and the password is not sent without: use smtps://, or say ?tls=none in mail.url",
                self.name()
            )));
        }
        let login = Credentials::new(user.clone(), password.clone());
        match connection.auth(&MECHANISMS, &login).await {
            Ok(_) => Ok(()),
            Err(error) => {
                let what = format!(
                    "{} does not let us in: look at user and password in mail.url",
                    self.name()
                );
                Err(error::of_connection(&what, &error))
            }
        }
    }

    fn not_connected(&self, error: &smtp::Error) -> Error {
        let name = self.name();
        let what = if error::is_tls(error) {
            format!("TLS with {name} failed (mail.ca_file names whose certificates are believed)")
        } else {
            format!("{name} is not reached")
        };
        error::of_connection(&what, error)
    }

    fn name(&self) -> String {
        let Target { host, port, .. } = &self.target;
        format!("the mail server {host}:{port}")
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(AsyncSmtpConnection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose certificates are believed; verification has no switch.
fn trust(host: &str, settings: &Settings) -> Result<TlsParameters, SetupError> {
    let mut tls = TlsParameters::builder(host.to_owned());
    if let Some(file) = &settings.ca_file {
        let pem = std::fs::read(file).map_err(SetupError::Authorities)?;
        let authorities = Certificate::from_pem(&pem).map_err(SetupError::Library)?;
        tls = tls.certificate_store(CertificateStore::None).add_root_certificate(authorities);
    }
    tls.build().map_err(SetupError::Library)
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Server").field(&self.target).finish()
    }
}
