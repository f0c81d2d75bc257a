//! One order, from the account to the certificate.

use super::{ACCOUNT, Acme, Challenge, http::Http};
use crate::tls::certificate;
use crate::tls::shown::Challenges;
use anyhow::{Context as _, bail};
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeHandle, ChallengeType, Error,
    Identifier, NewAccount, NewOrder, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use std::time::Duration;

/// The server checks within seconds, or says by when to ask again.
const POLLING: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(250))
    .backoff(1.6)
    .timeout(Duration::from_secs(120));

/// Returns the chain and its key in PEM.
pub(super) async fn run(acme: &Acme, challenges: &Challenges) -> anyhow::Result<String> {
    let names: Vec<_> = acme.settings.names.iter().cloned().map(Identifier::Dns).collect();
    let account = kept_account(acme).await.context("use the account that was kept")?;
    let (account, was_kept) = match account {
        Some(account) => (account, true),
        None => (fresh_account(acme).await?, false),
    };
    let mut order = match account.new_order(&NewOrder::new(&names)).await {
        Err(error) if was_kept && is_unknown_account(&error) => {
            tracing::info!("the ACME server does not know the account any more; making another");
            fresh_account(acme).await?.new_order(&NewOrder::new(&names)).await
        }
        order => order,
    }
    .context("order a certificate")?;

    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.context("ask what to prove")?;
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            status => bail!("an authorization is {status:?}"),
        }
        let kind = choose(acme.settings.challenge, |kind| {
            authorization.challenges.iter().any(|challenge| challenge.r#type == *kind)
        });
        let kind = kind.context("the server asks for no proof by HTTP-01 or TLS-ALPN-01")?;
        let mut challenge = authorization.challenge(kind).context("find the challenge")?;
        prepare(&challenge, challenges)?;
        challenge.set_ready().await.context("say that the proof is ready")?;
    }
    let proved = order.poll_ready(&POLLING).await.context("prove that the names are ours")?;
    if proved != OrderStatus::Ready {
        bail!("{}", refusal(&mut order).await);
    }
    let key = KeyPair::generate().context("make a key")?;
    let mut request = CertificateParams::new(acme.settings.names.clone()).context("write names")?;
    request.distinguished_name = DistinguishedName::new();
    let request = request.serialize_request(&key).context("write a request")?;
    order.finalize_csr(request.der()).await.context("hand in the request")?;
    let chain = order.poll_certificate(&POLLING).await.context("fetch the certificate")?;
    Ok(format!("{}\n{}", chain.trim_end(), key.serialize_pem()))
}

async fn kept_account(acme: &Acme) -> anyhow::Result<Option<Account>> {
    let Some(text) = acme.state.read(ACCOUNT)? else { return Ok(None) };
    let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let same_server =
        value.get("directory").and_then(|url| url.as_str()) == Some(&acme.settings.directory);
    let Ok(credentials) = serde_json::from_value::<AccountCredentials>(value) else {
        tracing::warn!("the ACME account that was kept cannot be read; making another");
        return Ok(None);
    };
    if !same_server {
        return Ok(None);
    }
    let builder = Account::builder_with_http(Box::new(Http { tls: acme.tls.clone() }));
    Ok(Some(builder.from_credentials(credentials).await?))
}

async fn fresh_account(acme: &Acme) -> anyhow::Result<Account> {
    let contacts: Vec<_> = acme.settings.contacts.iter().map(String::as_str).collect();
    let wanted = NewAccount {
        contact: &contacts,
        // Whoever names the server has agreed to them: the option's help says so.
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let builder = Account::builder_with_http(Box::new(Http { tls: acme.tls.clone() }));
    let directory = acme.settings.directory.clone();
    let (account, credentials) =
        builder.create(&wanted, directory, None).await.context("make an account")?;
    acme.state.write(ACCOUNT, &serde_json::to_string(&credentials)?)?;
    Ok(account)
}

fn is_unknown_account(error: &Error) -> bool {
    let Error::Api(problem) = error else { return false };
    let kinds = ["accountDoesNotExist", "unauthorized"];
    problem.r#type.as_deref().is_some_and(|kind| kinds.iter().any(|known| kind.ends_with(known)))
}

/// The way that was chosen, or the other where the server offers only that.
fn choose(preferred: Challenge, offers: impl Fn(&ChallengeType) -> bool) -> Option<ChallengeType> {
    let (http, tls) = (ChallengeType::Http01, ChallengeType::TlsAlpn01);
    let order = match preferred {
        Challenge::Http01 => [http, tls],
        Challenge::TlsAlpn01 => [tls, http],
    };
    order.into_iter().find(offers)
}

fn prepare(challenge: &ChallengeHandle<'_>, challenges: &Challenges) -> anyhow::Result<()> {
    let proof = challenge.key_authorization();
    if challenge.r#type == ChallengeType::Http01 {
        challenges.set_token(&challenge.token, proof.as_str());
        return Ok(());
    }
    let name = challenge.identifier().to_string();
    let digest = proof.digest();
    let mut params = CertificateParams::new(vec![name.clone()]).context("write a name")?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest.as_ref())];
    let key = KeyPair::generate().context("make a key")?;
    let proof = params.self_signed(&key).context("sign the proof")?.der().clone();
    // Put together by hand: what checks certificates refuses one with an extension that it does not
    // know and must not ignore, as this one's is.
    let signing = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let signing = certificate::provider().key_provider.load_private_key(signing);
    let proof = CertifiedKey::new(vec![proof], signing.context("use the key of the proof")?);
    challenges.set_name(&name, proof);
    Ok(())
}

/// Why the server did not believe us, in its own words.
async fn refusal(order: &mut instant_acme::Order) -> String {
    let mut words = vec!["the server could not see that the names are ours".to_owned()];
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        if let Ok(state) = authorization.refresh().await {
            let errors = state.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
            words.extend(errors.map(ToString::to_string));
        }
    }
    words.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_proof_is_given_where_the_server_asks_for_it() {
        let (http, tls) = (ChallengeType::Http01, ChallengeType::TlsAlpn01);
        assert_eq!(choose(Challenge::Http01, |_| true), Some(http.clone()));
        assert_eq!(choose(Challenge::TlsAlpn01, |_| true), Some(tls.clone()));
        assert_eq!(choose(Challenge::Http01, |kind| *kind == tls), Some(tls.clone()));
        assert_eq!(choose(Challenge::TlsAlpn01, |kind| *kind == http), Some(http));
        assert_eq!(choose(Challenge::Http01, |kind| *kind == ChallengeType::Dns01), None);
    }
}
