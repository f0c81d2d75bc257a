//! `lattice admin`: sign-ins and tokens from the machine's own command line, also beside a running
//! server.

use crate::auth::admin;
use crate::broker::bootstrap::Bootstrap;
use crate::cli::{AdminArgs, AdminCommand};
use crate::config::Config;
use crate::serve::{Places, entrance};
use crate::store::{Store, Timestamp};
use anyhow::{Context as _, bail};
use std::fs;
use std::io::Write as _;

/// Prints what was asked for.
pub async fn run(command: AdminCommand) -> anyhow::Result<()> {
    let line = match command {
        AdminCommand::Url(args) => url(&args).await?,
        AdminCommand::Token(args) => {
            let (store, _) = open(&args).await?;
            let token = admin::token(&store, args.user.as_deref(), Timestamp::now()).await?;
            store.close().await;
            token.expose().to_owned()
        }
    };
    writeln!(std::io::stdout(), "{line}").context("print it")
}

async fn url(args: &AdminArgs) -> anyhow::Result<String> {
    let (store, places) = open(args).await?;
    let path = places.origin();
    let origin = fs::read_to_string(&path).with_context(|| {
        format!("read {}, which lattice serve writes when it starts", path.display())
    })?;
    let token = admin::url(&store, args.user.as_deref(), Timestamp::now()).await?;
    store.close().await;
    Ok(entrance(origin.trim(), "", &token))
}

async fn open(args: &AdminArgs) -> anyhow::Result<(Store, Places)> {
    let config = Config::load(&args.serve)?;
    if let Some(bootstrap) = Bootstrap::find(&config).await {
        bail!(
            "this container only looks after the gateway; ask that, by: docker exec {} lattice admin",
            bootstrap.gateway_name()?
        );
    }
    let places = Places::open(&config.data_dir)?;
    let database = places.database();
    if !database.is_file() {
        bail!(
            "there is no database at {}; start `lattice serve` once, or name its directory with \
             --data-dir",
            database.display()
        );
    }
    Ok((Store::open(&database).await?, places))
}
