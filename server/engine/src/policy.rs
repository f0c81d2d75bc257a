//! Who may do what: one table, and whatever it does not list is refused.
//!
//! INVARIANT: a [`Permit`] is made by [`decide`] alone, so whoever holds one has been asked about.

/// What a share link lets its holder do with the one session it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkRole {
    /// Sees.
    View,
    /// Sees and points.
    Assist,
    /// Sees, and drives when given control.
    Control,
}

impl LinkRole {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::View, Self::Assist, Self::Control];

    /// As the API and the store write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Assist => "assist",
            Self::Control => "control",
        }
    }

    /// The role of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// What somebody is to one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionRole {
    /// It was shared with them.
    Shared(LinkRole),
    /// They administer the server.
    Admin,
    /// It is theirs.
    Owner,
}

impl SessionRole {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Shared(role) => role.as_str(),
        }
    }
}

/// Who asks, seen from what they ask about. Where that is no session, a tie is `None` or `false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Nobody we know.
    Anonymous,
    /// Somebody with a link and no account.
    Guest {
        /// What their links give them in this session; nothing where they are for others.
        shared: Option<LinkRole>,
    },
    /// Somebody with an account.
    User {
        /// Whether the session is theirs.
        owner: bool,
        /// What links give them in it.
        shared: Option<LinkRole>,
    },
    /// An administrator.
    Admin {
        /// Whether the session is theirs.
        owner: bool,
    },
}

impl Who {
    /// What they are to the session that they ask about.
    pub fn role(self) -> Option<SessionRole> {
        match self {
            Self::User { owner: true, .. } | Self::Admin { owner: true } => {
                Some(SessionRole::Owner)
            }
            Self::Admin { owner: false } => Some(SessionRole::Admin),
            Self::User { owner: false, shared } | Self::Guest { shared } => {
                shared.map(SessionRole::Shared)
            }
            Self::Anonymous => None,
        }
    }
}

/// Everything that can be asked of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Prove who one is, by a password or a one-time token.
    SignIn,
    /// Swap a share link for a place in its session.
    Redeem,
    /// Read what the API looks like.
    ReadDescription,
    /// End one's own login.
    SignOut,
    /// Read who one is.
    ReadSelf,
    /// Set one's own password.
    SetOwnPassword,
    /// Read what desktops can be made of.
    ListTemplates,
    /// Read which apps can be installed, and which are.
    ReadCatalogue,
    /// Install apps for oneself, and remove them.
    InstallOwnApps,
    /// Install apps for everybody, and remove them.
    InstallAppsForAll,
    /// Read one's own sessions and those shared with one.
    ListSessions,
    /// Read everybody's sessions.
    ListAllSessions,
    /// Hear of changes to the sessions one may see.
    FollowEvents,
    /// Make a session of one's own.
    CreateSession,
    /// Read what state a session is in.
    ReadSession,
    /// Have it run, rest or not run.
    RunSession,
    /// Have its home begin anew.
    ResetSession,
    /// Call it something else.
    RenameSession,
    /// Make one more of the same kind, for oneself.
    DuplicateSession,
    /// Throw it away, to be had back.
    DiscardSession,
    /// Have it back.
    RecoverSession,
    /// End it for good.
    DeleteSession,
    /// Read, make and end its share links.
    ShareSession,
    /// Read who is looking at it.
    ListViewers,
    /// Say who drives it.
    GiveControl,
    /// Read which apps there are on it, open and close them.
    UseApps,
    /// Read what it is made of, and which versions of that there are.
    ReadTemplate,
    /// Change that, where owners may not: with it come the network and the memory that its apps have.
    EditTemplate,
    /// The same where owners may.
    EditOwnTemplate,
    /// Look at the pages of programs that run on it.
    Preview,
    /// Read what its parts and apps say.
    ReadLogs,
    /// Read which snapshots there are of its owner's Data, and what is in them.
    ReadSnapshots,
    /// Make one.
    TakeSnapshot,
    /// Put back what is in one.
    RestoreSnapshot,
    /// Look at its screen.
    Watch,
    /// Point at things on it.
    Point,
    /// Type and click in it when one has control.
    Drive,
    /// Read, make, change and delete accounts.
    ManageUsers,
    /// See how backups went, make one, and see whether one can be put back.
    ManageBackups,
    /// Read what the server has done, in numbers.
    ReadMetrics,
    /// Remove images of which no desktop is made any more.
    RemoveImages,
}

impl Action {
    /// All of them, for whoever must not forget one.
    pub const ALL: [Self; 41] = [
        Self::SignIn,
        Self::Redeem,
        Self::ReadDescription,
        Self::SignOut,
        Self::ReadSelf,
        Self::SetOwnPassword,
        Self::ListTemplates,
        Self::ReadCatalogue,
        Self::InstallOwnApps,
        Self::InstallAppsForAll,
        Self::ListSessions,
        Self::ListAllSessions,
        Self::FollowEvents,
        Self::CreateSession,
        Self::ReadSession,
        Self::RunSession,
        Self::ResetSession,
        Self::RenameSession,
        Self::DuplicateSession,
        Self::DiscardSession,
        Self::RecoverSession,
        Self::DeleteSession,
        Self::ShareSession,
        Self::ListViewers,
        Self::GiveControl,
        Self::UseApps,
        Self::ReadTemplate,
        Self::EditTemplate,
        Self::EditOwnTemplate,
        Self::Preview,
        Self::ReadLogs,
        Self::ReadSnapshots,
        Self::TakeSnapshot,
        Self::RestoreSnapshot,
        Self::Watch,
        Self::Point,
        Self::Drive,
        Self::ManageUsers,
        Self::ManageBackups,
        Self::ReadMetrics,
        Self::RemoveImages,
    ];

    /// Whether it is about one session.
    pub fn is_about_session(self) -> bool {
        matches!(
            self,
            Self::ReadSession
                | Self::RunSession
                | Self::ResetSession
                | Self::RenameSession
                | Self::DuplicateSession
                | Self::DiscardSession
                | Self::RecoverSession
                | Self::DeleteSession
                | Self::ShareSession
                | Self::ListViewers
                | Self::GiveControl
                | Self::UseApps
                | Self::ReadTemplate
                | Self::EditTemplate
                | Self::EditOwnTemplate
                | Self::Preview
                | Self::ReadLogs
                | Self::ReadSnapshots
                | Self::TakeSnapshot
                | Self::RestoreSnapshot
                | Self::Watch
                | Self::Point
                | Self::Drive
        )
    }
}

/// That somebody may do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit {
    action: Action,
    role: Option<SessionRole>,
}

impl Permit {
    /// What may be done.
    pub fn action(self) -> Action {
        self.action
    }

    /// As what, where it is about a session.
    pub fn role(self) -> Option<SessionRole> {
        self.role
    }
}

/// Those who may, as a set of the columns below.
#[derive(Clone, Copy)]
struct Set(u16);

const ANONYMOUS: u16 = 1;
/// A guest, whatever the session.
const GUEST: u16 = 1 << 1;
/// Somebody with an account, whatever the session.
const USER: u16 = 1 << 2;
const ADMIN: u16 = 1 << 3;
const OWNER: u16 = 1 << 4;
/// A link of this role or a higher one, with an account or without.
const VIEW: u16 = 1 << 5;
const ASSIST: u16 = 1 << 6;
const CONTROL: u16 = 1 << 7;

const ANYBODY: u16 = ANONYMOUS | GUEST | USER | ADMIN;
const KNOWN: u16 = GUEST | USER | ADMIN;
const ACCOUNT: u16 = USER | ADMIN;
const MASTER: u16 = OWNER | ADMIN;

/// The table. An action has one line, and the compiler misses none.
fn allowed(action: Action) -> Set {
    Set(match action {
        Action::SignIn => ANYBODY,
        Action::Redeem => ANYBODY,
        Action::ReadDescription => ANYBODY,
        Action::SignOut => KNOWN,
        Action::ReadSelf => KNOWN,
        Action::SetOwnPassword => ACCOUNT,
        Action::ListTemplates => ACCOUNT,
        Action::ReadCatalogue => ACCOUNT,
        Action::InstallOwnApps => ACCOUNT,
        Action::InstallAppsForAll => ADMIN,
        Action::ListSessions => KNOWN,
        Action::ListAllSessions => ADMIN,
        Action::FollowEvents => KNOWN,
        Action::CreateSession => ACCOUNT,
        Action::ReadSession => MASTER | VIEW | ASSIST | CONTROL,
        Action::RunSession => MASTER,
        Action::ResetSession => MASTER,
        Action::RenameSession => MASTER,
        Action::DuplicateSession => OWNER,
        Action::DiscardSession => MASTER,
        Action::RecoverSession => MASTER,
        Action::DeleteSession => MASTER,
        Action::ShareSession => MASTER,
        Action::ListViewers => MASTER,
        Action::GiveControl => MASTER,
        Action::UseApps => MASTER,
        Action::ReadTemplate => MASTER,
        Action::EditTemplate => ADMIN,
        Action::EditOwnTemplate => MASTER,
        Action::Preview => MASTER | VIEW | ASSIST | CONTROL,
        Action::ReadLogs => MASTER,
        Action::ReadSnapshots => MASTER,
        Action::TakeSnapshot => MASTER,
        Action::RestoreSnapshot => MASTER,
        Action::Watch => MASTER | VIEW | ASSIST | CONTROL,
        Action::Point => MASTER | ASSIST | CONTROL,
        Action::Drive => MASTER | CONTROL,
        Action::ManageUsers => ADMIN,
        Action::ManageBackups => ADMIN,
        Action::ReadMetrics => ADMIN,
        Action::RemoveImages => ADMIN,
    })
}

/// The columns that somebody stands in.
fn columns(who: Who) -> u16 {
    let kind = match who {
        Who::Anonymous => ANONYMOUS,
        Who::Guest { .. } => GUEST,
        Who::User { .. } => USER,
        Who::Admin { .. } => ADMIN,
    };
    let tie = match who.role() {
        Some(SessionRole::Owner) => OWNER,
        Some(SessionRole::Shared(LinkRole::View)) => VIEW,
        Some(SessionRole::Shared(LinkRole::Assist)) => ASSIST,
        Some(SessionRole::Shared(LinkRole::Control)) => CONTROL,
        Some(SessionRole::Admin) | None => 0,
    };
    kind | tie
}

/// Whether they may, and as what.
pub fn decide(who: Who, action: Action) -> Option<Permit> {
    let may = allowed(action).0 & columns(who) != 0;
    let role = if action.is_about_session() { who.role() } else { None };
    may.then_some(Permit { action, role })
}

#[cfg(test)]
mod tests {
    use super::*;
    use LinkRole::{Assist, Control, View};

    const NOBODY: Who = Who::Anonymous;
    const STRANGER: Who = Who::User { owner: false, shared: None };
    const OWNER: Who = Who::User { owner: true, shared: None };
    const ADMIN: Who = Who::Admin { owner: false };

    fn guest(role: LinkRole) -> Who {
        Who::Guest { shared: Some(role) }
    }

    fn friend(role: LinkRole) -> Who {
        Who::User { owner: false, shared: Some(role) }
    }

    /// All who may do `action`, of those that the tests know.
    fn check(action: Action, expected: &[Who]) {
        let elsewhere = Who::Guest { shared: None };
        let all = [NOBODY, elsewhere, guest(View), guest(Assist), guest(Control), STRANGER]
            .into_iter()
            .chain([friend(View), friend(Assist), friend(Control), OWNER, ADMIN]);
        let may: Vec<Who> = all.filter(|who| decide(*who, action).is_some()).collect();
        assert_eq!(may, expected, "{action:?}");
    }

    #[test]
    fn who_may_do_what_to_a_session_is_what_the_design_says() {
        let sees = [
            guest(View),
            guest(Assist),
            guest(Control),
            friend(View),
            friend(Assist),
            friend(Control),
            OWNER,
            ADMIN,
        ];
        check(Action::ReadSession, &sees);
        check(Action::Watch, &sees);
        check(Action::Preview, &sees);
        let points = [guest(Assist), guest(Control), friend(Assist), friend(Control), OWNER, ADMIN];
        check(Action::Point, &points);
        check(Action::Drive, &[guest(Control), friend(Control), OWNER, ADMIN]);
        for action in [
            Action::RunSession,
            Action::ResetSession,
            Action::RenameSession,
            Action::DiscardSession,
            Action::RecoverSession,
            Action::DeleteSession,
            Action::ShareSession,
            Action::ListViewers,
            Action::GiveControl,
            Action::UseApps,
            Action::ReadLogs,
            Action::ReadTemplate,
            Action::EditOwnTemplate,
            Action::ReadSnapshots,
            Action::TakeSnapshot,
            Action::RestoreSnapshot,
        ] {
            check(action, &[OWNER, ADMIN]);
        }
        // A copy is whoever's who makes it.
        check(Action::DuplicateSession, &[OWNER]);
        check(Action::EditTemplate, &[ADMIN]);
        check(Action::ManageUsers, &[ADMIN]);
        check(Action::ManageBackups, &[ADMIN]);
        check(Action::ReadMetrics, &[ADMIN]);
        check(Action::RemoveImages, &[ADMIN]);
        check(Action::ListAllSessions, &[ADMIN]);
    }

    #[test]
    fn nobody_knows_of_nothing_but_the_ways_in() {
        let open: Vec<Action> =
            Action::ALL.into_iter().filter(|action| decide(NOBODY, *action).is_some()).collect();
        assert_eq!(open, [Action::SignIn, Action::Redeem, Action::ReadDescription]);
    }

    #[test]
    fn a_guest_elsewhere_may_do_nothing_here() {
        let elsewhere = Who::Guest { shared: None };
        for action in Action::ALL.into_iter().filter(|action| action.is_about_session()) {
            assert_eq!(decide(elsewhere, action), None, "{action:?}");
            assert_eq!(decide(STRANGER, action), None, "{action:?}");
        }
    }

    #[test]
    fn a_permit_says_as_what() {
        let role = |who| decide(who, Action::Watch).and_then(Permit::role);
        assert_eq!(role(Who::Admin { owner: true }), Some(SessionRole::Owner));
        assert_eq!(role(ADMIN), Some(SessionRole::Admin));
        let owner_with_link = Who::User { owner: true, shared: Some(View) };
        assert_eq!(role(owner_with_link), Some(SessionRole::Owner));
        assert_eq!(role(friend(Assist)), Some(SessionRole::Shared(Assist)));
        assert_eq!(decide(STRANGER, Action::ListSessions).and_then(Permit::role), None);
    }
}
