//! What the walls around desktops made of containers let through: as the engine knows it, and as seen
//! from inside.

mod builds;
mod bus;
mod catalogue;
mod granted;
mod images;
mod imports;
mod internet;
mod isolation;
mod load;
mod logs;
mod recipes;
mod refusals;
mod snapshots;
mod storage;

use lattice_engine::session::SessionId;
use lattice_gateway::runtime::{Runtime, Spec};
use lattice_tests::desktops::{running, spec};

/// A desktop of somebody's that runs.
async fn started(runtime: &Runtime, owner: i64, template: &str) -> SessionId {
    let spec = Spec { template: template.into(), ..spec(owner) };
    runtime.start(&spec).await.expect("a start");
    running(runtime, &spec.session).await;
    spec.session
}

/// A script that says `reached`, or with which status it did not get there: 1 where it was refused,
/// 124 where nobody answered for three seconds.
fn reach(address: &str, port: u16) -> String {
    format!(
        "timeout 3 bash -c 'exec 3<>/dev/tcp/{address}/{port} && head -c 7 <&3' 2>/dev/null || echo $?"
    )
}

/// A script that leaves somebody behind who says `reached` to all who come.
fn listen(port: u16) -> String {
    format!(
        "perl -MIO::Socket::INET -e '$l = IO::Socket::INET->new(LocalPort => {port}, Listen => 9, \
         ReuseAddr => 1) or die; while ($c = $l->accept) {{ print $c \"reached\"; close $c }}' \
         </dev/null >/dev/null 2>&1 &"
    )
}
