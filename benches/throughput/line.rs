//! Row 5: a factory line asks for one device after the other, beside devices that ask for themselves.

use tokio::runtime::Runtime;

use crate::Outcome;
use crate::kept::Stayer;
use crate::load::Crowd;
use crate::measure::{Plan, Row};
use crate::scene::Scene;

pub(crate) fn measure(scene: &Scene, client: &Runtime, plan: &Plan) -> Outcome<Row> {
    let mut belt = Crowd::new(Stayer::all(&scene.units, client)?, 200.0);
    let mut alone = Crowd::new(Stayer::all(&scene.devices, client)?, 200.0);
    Row::measure(
        "5 enrolments through one registration authority",
        "by the devices themselves, as in row 2",
        0.9,
        plan,
        |length| belt.round(client, length),
        |length| alone.round(client, length),
    )
}
