//! What desktops run on: chosen when the server starts, by its configuration and by what this machine
//! has.

use crate::broker;
use crate::config::{Config, RuntimeChoice};
use crate::recipe::Recipes;
use crate::runtime::process::probe::{find_containers, own_program};
use crate::runtime::{self, BrokerSettings, Docker, OwnBroker, Process, Runtime};
use crate::serve::{Places, TEMPLATE};
use crate::template;
use anyhow::bail;
use std::path::{Path, PathBuf};

/// What runs desktops, and what they can be made of.
#[derive(Debug)]
pub(crate) struct Ground {
    /// What runs them.
    pub(crate) runtime: Runtime,
    /// What they can be made of.
    pub(crate) recipes: Recipes,
    /// Started for this runtime, where nobody else's is used.
    pub(crate) broker: Option<OwnBroker>,
}

impl Ground {
    /// The one that the configuration names, or the best that this machine has.
    pub(crate) async fn open(config: &Config, places: &Places) -> anyhow::Result<Self> {
        match config.desktops.runtime {
            RuntimeChoice::Process => Self::of_processes(config, places).await,
            RuntimeChoice::Docker => Self::of_containers(config, places).await,
            RuntimeChoice::Auto if config.desktops.broker.is_some() => {
                Self::of_containers(config, places).await
            }
            RuntimeChoice::Auto if !rustix::process::geteuid().is_root() => {
                tracing::info!(
                    "only root can give each desktop made of containers a user id of its own, so \
                     desktops are processes in sandboxes, without apps"
                );
                Self::of_processes(config, places).await
            }
            RuntimeChoice::Auto if !config.desktops.engine.exists() => {
                tracing::info!(
                    engine = %config.desktops.engine.display(),
                    "there is no container engine, so desktops are processes in sandboxes, without apps"
                );
                Self::of_processes(config, places).await
            }
            RuntimeChoice::Auto => match Self::of_containers(config, places).await {
                Ok(ground) => Ok(ground),
                Err(error) => {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "desktops are processes in sandboxes, without apps, since containers do not work"
                    );
                    Self::of_processes(config, places).await
                }
            },
        }
    }

    /// Desktops without apps: those are containers.
    async fn of_processes(config: &Config, places: &Places) -> anyhow::Result<Self> {
        let mut settings = runtime::Settings::new(config.data_dir.clone(), places.run())?;
        settings.import_allow = config.import.networks()?;
        let mut templates = template::load_good(&templates_in(config)?)?;
        templates.retain(|(template, _)| template.apps.is_empty());
        let recipes = offered(templates)?;
        let runtime = Runtime::Process(Process::open(settings).await?);
        Ok(Self { runtime, recipes, broker: None })
    }

    async fn of_containers(config: &Config, places: &Places) -> anyhow::Result<Self> {
        let directory = templates_in(config)?;
        let recipes = offered(template::load_good(&directory)?)?;
        let (broker, socket) = match &config.desktops.broker {
            Some(socket) => (None, socket.clone()),
            None => {
                let settings = BrokerSettings {
                    program: own_program()?,
                    run: places.desktops(),
                    data: config.data_dir.clone(),
                    templates: directory,
                    engine: config.desktops.engine.clone(),
                    catalogues: config.catalogues.directory(&config.data_dir),
                    catalogue_keys: config.catalogues.words()?,
                };
                let socket = settings.run.join(broker::SOCKET);
                (Some(OwnBroker::start(settings).await?), socket)
            }
        };
        let docker = Docker::open(socket);
        // A broker of somebody else's may come later, as its engine may.
        if broker.is_some() {
            let missing = docker.engine().await?.missing;
            if !missing.is_empty() {
                bail!(
                    "the images {} are not there; build them by: make images",
                    missing.join(", ")
                );
            }
        }
        Ok(Self { runtime: Runtime::Docker(docker), recipes, broker })
    }
}

/// Where templates are.
pub(crate) fn templates_in(config: &Config) -> anyhow::Result<PathBuf> {
    if let Some(directory) = &config.desktops.templates {
        return Ok(directory.clone());
    }
    let installed = Path::new("/usr/share/lattice/templates");
    if installed.is_dir() {
        return Ok(installed.to_owned());
    }
    Ok(find_containers()?.join("templates"))
}

/// What desktops can be made of.
fn offered(good: Vec<(template::Template, String)>) -> anyhow::Result<Recipes> {
    if !good.iter().any(|(template, _)| template.name == TEMPLATE) {
        bail!(
            "there is no good template {TEMPLATE}; copy {TEMPLATE}.yaml there again from the \
             release, and look at it with: lattice template check"
        );
    }
    Ok(Recipes::new(good.into_iter().map(|(template, text)| (template.name, text))))
}
