//! The options about TLS and proxies, which are the same for all that listens.

use crate::http::forwarded::Proxies;
use crate::tls::{self, Mode, acme, certificate::Files};
use anyhow::bail;
use clap::Args;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Options about TLS and proxies.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "TLS and proxies")]
pub struct TlsArgs {
    /// Speak TLS: auto does so beyond this machine and where a certificate is named. Without a
    /// certificate one is made, and the page /ca tells how devices are made to trust it.
    #[arg(
        long,
        env = "LATTICE_TLS__MODE",
        default_value = "auto",
        value_name = "auto|on|off",
        hide_possible_values = true
    )]
    pub tls: Mode,
    /// The certificate to show, in PEM, followed by those of its issuers; read again when it changes.
    #[arg(long, env = "LATTICE_TLS__CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The key of --tls-cert, in PEM.
    #[arg(long, env = "LATTICE_TLS__KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Where keys and certificates are kept. Default: tls in the directory for data.
    #[arg(long, env = "LATTICE_TLS__DIRECTORY", value_name = "DIRECTORY")]
    pub tls_directory: Option<PathBuf>,
    /// Lead who comes by plain HTTP to https, and answer ACME servers, on this address as well; such
    /// as 0.0.0.0:80.
    #[arg(long, env = "LATTICE_TLS__HTTP_LISTEN", value_name = "ADDRESS:PORT")]
    pub http_listen: Option<SocketAddr>,
    /// Order a certificate for the host names of --public-url from the ACME server with this
    /// directory, and agree to its terms. It must reach this server on port 443, or on port 80 with
    /// --http-listen.
    #[arg(long, env = "LATTICE_ACME__DIRECTORY", value_name = "URL", conflicts_with = "tls_cert")]
    pub acme_directory: Option<String>,
    /// Whom the ACME server may tell of trouble, such as mailto:admin@school.example; may be repeated.
    #[arg(
        long,
        env = "LATTICE_ACME__CONTACT",
        value_name = "URL",
        value_delimiter = ',',
        requires = "acme_directory"
    )]
    pub acme_contact: Vec<String>,
    /// Certificates to trust for the ACME server, in PEM, instead of those that the system trusts.
    #[arg(long, env = "LATTICE_ACME__CA", value_name = "FILE", requires = "acme_directory")]
    pub acme_ca: Option<PathBuf>,
    /// A proxy in front, such as 10.0.0.7 or 10.0.0.0/24, that is believed when it says for whom it
    /// asks; may be repeated. It must overwrite what its clients say.
    #[arg(
        long,
        env = "LATTICE_HTTP__TRUSTED_PROXY",
        value_name = "NETWORK",
        value_delimiter = ',',
        value_parser = network
    )]
    pub trusted_proxy: Vec<IpNet>,
}

impl TlsArgs {
    /// The variables that these options read.
    pub const VARIABLES: [&str; 9] = [
        "LATTICE_TLS__MODE",
        "LATTICE_TLS__CERT",
        "LATTICE_TLS__KEY",
        "LATTICE_TLS__DIRECTORY",
        "LATTICE_TLS__HTTP_LISTEN",
        "LATTICE_ACME__DIRECTORY",
        "LATTICE_ACME__CONTACT",
        "LATTICE_ACME__CA",
        "LATTICE_HTTP__TRUSTED_PROXY",
    ];

    /// What the server is to be that listens on `listen`, or nothing where it is to be plain.
    pub fn settings(
        &self,
        listen: IpAddr,
        hosts: Vec<String>,
        public: &[String],
    ) -> anyhow::Result<Option<tls::Settings>> {
        let files = self.tls_cert.clone().zip(self.tls_key.clone());
        let files = files.map(|(certificate, key)| Files { certificate, key });
        let has_certificate = files.is_some() || self.acme_directory.is_some();
        if !self.tls.is_on(listen, has_certificate) {
            if has_certificate {
                bail!("--tls off leaves no use for a certificate; leave one of them out");
            }
            if self.http_listen.is_some() {
                bail!("--http-listen leads to https, and https is not spoken here; add --tls on");
            }
            return Ok(None);
        }
        let challenge = match self.http_listen {
            Some(_) => acme::Challenge::Http01,
            None => acme::Challenge::TlsAlpn01,
        };
        let acme = self.acme_directory.clone().map(|directory| acme::Settings {
            directory,
            contacts: self.acme_contact.clone(),
            roots: self.acme_ca.clone(),
            names: acme::Settings::names_of(public),
            challenge,
        });
        let directory = self.tls_directory.clone().unwrap_or_else(tls::default_directory);
        let public = public.to_vec();
        Ok(Some(tls::Settings { listen, hosts, public, files, acme, directory }))
    }

    /// The proxies that are believed.
    pub fn proxies(&self) -> Proxies {
        Proxies::new(self.trusted_proxy.iter().copied())
    }
}

/// Reads a network, or one address.
pub fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
    text.parse::<IpNet>().or_else(|_| address()).map_err(|_| {
        "a network has the form 10.0.0.0/24 or 2001:db8::/48; one address has none of the slash"
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        tls: TlsArgs,
    }

    fn settings(listen: &str, words: &[&str]) -> anyhow::Result<Option<tls::Settings>> {
        let line = Line::try_parse_from(["lattice"].iter().chain(words))?;
        let public = ["https://desk.example".to_owned()];
        line.tls.settings(listen.parse().expect("an address"), Vec::new(), &public)
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        let files = ["--tls-cert", "/c", "--tls-key", "/k"];
        assert_eq!(settings("127.0.0.1", &[]).expect("good").map(|_| ()), None);
        assert!(settings("0.0.0.0", &[]).expect("good").is_some());
        let found = settings("127.0.0.1", &files).expect("good").expect("TLS");
        assert_eq!(found.files.expect("files").key, PathBuf::from("/k"));
        for bad in [
            &["--tls-cert", "/c"][..],
            &["--tls-key", "/k"],
            &["--tls", "maybe"],
            &["--tls", "off", "--tls-cert", "/c", "--tls-key", "/k"],
            &["--acme-contact", "mailto:a@b"],
            &["--acme-directory", "https://a", "--tls-cert", "/c", "--tls-key", "/k"],
            &["--http-listen", "127.0.0.1:80"],
        ] {
            assert!(settings("127.0.0.1", bad).is_err(), "{bad:?}");
        }
        let ordered = ["--acme-directory", "https://acme.test/d", "--http-listen", "0.0.0.0:80"];
        let acme = settings("127.0.0.1", &ordered).expect("good").and_then(|found| found.acme);
        let acme = acme.expect("one is ordered");
        assert_eq!(acme.names, ["desk.example"]);
        assert_eq!(acme.challenge, acme::Challenge::Http01);
    }

    #[test]
    fn a_proxy_is_an_address_or_a_network() {
        assert_eq!(network("10.0.0.7").expect("good").to_string(), "10.0.0.7/32");
        assert_eq!(network("2001:db8::/48").expect("good").to_string(), "2001:db8::/48");
        assert!(network("proxy.example").is_err());
        let line = ["lattice", "--trusted-proxy", "10.0.0.7,10.1.0.0/16", "--trusted-proxy", "::1"];
        let proxies = Line::try_parse_from(line).expect("good").tls.proxies();
        let trusts = |text: &str| proxies.trusts(text.parse().expect("an address"));
        assert!(trusts("10.0.0.7") && trusts("10.1.2.3") && trusts("::1"));
        assert!(!trusts("10.0.0.8") && !trusts("127.0.0.1"));
    }
}
