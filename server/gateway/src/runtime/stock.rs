//! What a runtime holds beside desktops that run: images, what people keep, and what is ready ahead of time.

use super::{Docker, Fake, Runtime, RuntimeError};
use crate::broker::protocol::{Build, ImageId, Pool, Reply, Request, SeenImage, Volumes};

/// Why there are no images where desktops are sandboxes.
pub(crate) const NO_IMAGES: &str =
    "desktops in sandboxes are made of this machine's own programs, and there are no images";

impl Runtime {
    /// The images that desktops are made of, or were; nothing where they are made of none.
    pub async fn images(&self) -> Result<Option<Vec<SeenImage>>, RuntimeError> {
        match self {
            Self::Process(_) => Ok(None),
            Self::Docker(docker) => docker.images().await.map(Some),
            Self::Fake(fake) => fake.images().map(Some),
        }
    }

    /// Removes an image that nothing needs; whether something does, whoever has them knows.
    pub async fn remove_image(&self, image: &ImageId) -> Result<(), RuntimeError> {
        match self {
            Self::Process(_) => Err(RuntimeError::Refused(NO_IMAGES.into())),
            Self::Docker(docker) => docker.remove_image(image).await,
            Self::Fake(fake) => fake.remove_image(image),
        }
    }

    /// What everybody keeps, as far as it was measured.
    pub async fn volumes(&self) -> Result<Volumes, RuntimeError> {
        match self {
            Self::Process(process) => Ok(process.volumes()),
            Self::Docker(docker) => docker.volumes().await,
            Self::Fake(fake) => fake.volumes(),
        }
    }

    /// How many desktops are half started ahead of time; nothing where none ever are.
    pub async fn pool(&self) -> Result<Option<Pool>, RuntimeError> {
        match self {
            Self::Process(_) | Self::Fake(_) => Ok(None),
            Self::Docker(docker) => docker.pool().await.map(Some),
        }
    }

    /// Images that somebody builds on the machine, and such as just failed; nothing where desktops are
    /// made of none.
    pub async fn builds(&self) -> Result<Option<Vec<Build>>, RuntimeError> {
        match self {
            Self::Process(_) => Ok(None),
            Self::Docker(docker) => docker.builds().await.map(Some),
            Self::Fake(fake) => fake.builds().map(Some),
        }
    }
}

impl Docker {
    async fn images(&self) -> Result<Vec<SeenImage>, RuntimeError> {
        match self.ask(&Request::Images).await? {
            Reply::Images(images) => Ok(images),
            other => Err(super::docker::odd(&other)),
        }
    }

    async fn remove_image(&self, image: &ImageId) -> Result<(), RuntimeError> {
        self.have_done(&Request::RemoveImage(image.clone())).await
    }

    async fn volumes(&self) -> Result<Volumes, RuntimeError> {
        match self.ask(&Request::Volumes).await? {
            Reply::Volumes(volumes) => Ok(volumes),
            other => Err(super::docker::odd(&other)),
        }
    }

    async fn pool(&self) -> Result<Pool, RuntimeError> {
        match self.ask(&Request::Pool).await? {
            Reply::Pool(pool) => Ok(pool),
            other => Err(super::docker::odd(&other)),
        }
    }

    async fn builds(&self) -> Result<Vec<Build>, RuntimeError> {
        match self.ask(&Request::Builds).await? {
            Reply::Builds(builds) => Ok(builds),
            other => Err(super::docker::odd(&other)),
        }
    }
}

impl Fake {
    /// From now on these images are said to be there.
    pub fn stock(&self, images: Vec<SeenImage>) {
        self.world().images = images;
    }

    /// From now on these are said to be built.
    pub fn build(&self, builds: Vec<Build>) {
        self.world().builds = builds;
    }

    fn builds(&self) -> Result<Vec<Build>, RuntimeError> {
        self.enter(super::Call::Builds)?;
        Ok(self.world().builds.clone())
    }

    fn images(&self) -> Result<Vec<SeenImage>, RuntimeError> {
        self.enter(super::Call::Images)?;
        Ok(self.world().images.clone())
    }

    fn remove_image(&self, image: &ImageId) -> Result<(), RuntimeError> {
        self.enter(super::Call::Images)?;
        self.world().images.retain(|known| known.id != *image);
        Ok(())
    }

    fn volumes(&self) -> Result<Volumes, RuntimeError> {
        self.enter(super::Call::Volumes)?;
        let people = self.world().stored.iter().map(|(owner, stored)| (*owner, *stored)).collect();
        let storage = crate::broker::protocol::Storage {
            keeper: "plain directories".into(),
            is_enforced: false,
            obstacle: None,
        };
        Ok(Volumes { storage, people })
    }
}
