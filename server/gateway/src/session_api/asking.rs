//! What desktops' programs ask about their desktops, on its way to whoever answers.

use lattice_engine::session::SessionId;
use lattice_wire::desktop::{Question, Told};
use tokio::sync::{mpsc, oneshot};

/// Questions that wait; beyond, links wait.
const WAITING: usize = 64;
const NOBODY: &str = "this server answers nothing about desktops; ask its administrator";

/// One question, of the desktop that its relay belongs to.
#[derive(Debug)]
pub struct Asked {
    /// Which desktop: the link's word, no program's.
    pub session: SessionId,
    /// What.
    pub question: Question,
    /// Where the answer goes; a refusal is for a person, with what to do.
    pub reply: oneshot::Sender<Result<Told, String>>,
}

/// Where links hand questions in; by default nobody answers.
#[derive(Debug, Clone, Default)]
pub struct Asking(Option<mpsc::Sender<Asked>>);

impl Asking {
    /// Both ends.
    pub fn channel() -> (Self, mpsc::Receiver<Asked>) {
        let (questions, asked) = mpsc::channel(WAITING);
        (Self(Some(questions)), asked)
    }

    pub(super) async fn ask(self, session: SessionId, question: Question) -> Result<Told, String> {
        let questions = self.0.ok_or(NOBODY)?;
        let (reply, answer) = oneshot::channel();
        let ending = |_| "Lattice is ending; try again in a moment".to_owned();
        let asked = Asked { session, question, reply };
        questions.send(asked).await.map_err(|_| NOBODY.to_owned())?;
        answer.await.map_err(ending)?
    }
}
