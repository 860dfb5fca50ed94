//! Every scheduler against the values that MMEngine's own gives, at every iteration: `golden/make.py` writes them.

use serde_json::{Map, Value as Json};
use snaphook_schedules::{GroupValues, ParamGroups, Quantity, ScheduleContext, Schedules, Unit};

/// The promise is 1e-9; the arithmetic is the same, up to the platform's cosine.
const TOLERANCE: f64 = 1e-12;

fn cases() -> Vec<Json> {
    serde_json::from_str(include_str!("golden/values.json")).expect("JSON")
}

fn whole(case: &Json, key: &str) -> u64 {
    case[key].as_u64().expect("a whole number")
}

/// Runs a case through its epochs; `look` is called before each step with the iteration and the groups.
fn run(case: &Json, mut look: impl FnMut(u64, &GroupValues)) {
    let (epochs, epoch_length) = (whole(case, "epochs"), whole(case, "length"));
    let rates: Vec<f64> =
        case["groups"].as_array().expect("a list").iter().filter_map(Json::as_f64).collect();
    let mut groups = GroupValues::new(&rates, 0.9, 0.01);
    let max_iters = epochs * epoch_length;
    let context = ScheduleContext { max_epochs: epochs, max_iters, epoch_length };
    let mut schedules =
        Schedules::build(&case["schedulers"], context, &mut groups).expect("schedules");
    for iteration in 0..max_iters {
        look(iteration, &groups);
        schedules.step(Unit::Iteration, &mut groups);
        if (iteration + 1) % epoch_length != 0 {
            continue;
        }
        schedules.step(Unit::Epoch, &mut groups);
        let metric = &case["metrics"][(iteration / epoch_length) as usize];
        if !metric.is_null() {
            let metrics = Map::from_iter([("metric".to_owned(), metric.clone())]);
            schedules.validated(&metrics, &mut groups).expect("a metric");
        }
    }
}

#[test]
fn values_equal_those_of_mmengine_at_every_iteration() {
    for case in cases() {
        let (stride, last) =
            (whole(&case, "stride"), whole(&case, "epochs") * whole(&case, "length") - 1);
        let mut row = 0;
        run(&case, |iteration, groups| {
            if iteration % stride != 0 && iteration != last {
                return;
            }
            for (key, rows) in case["values"].as_object().expect("an object") {
                let quantity = Quantity::ALL.into_iter().find(|quantity| quantity.name() == key);
                let quantity = quantity.expect("a quantity");
                for group in 0..groups.count() {
                    let expected = rows[row][group].as_f64().expect("a number");
                    let found = groups.value(quantity, group);
                    let name = &case["name"];
                    assert!(
                        (expected - found).abs() <= TOLERANCE * expected.abs().max(1e-9),
                        "{name}: {key} of group {group} at {iteration}: {expected} {found}"
                    );
                }
            }
            row += 1;
        });
        assert_eq!(Some(row), case["values"]["lr"].as_array().map(Vec::len), "{}", case["name"]);
    }
}

#[test]
fn every_scheduler_has_a_golden_case() {
    let cases = cases();
    let named: Vec<&str> = cases
        .iter()
        .flat_map(|case| case["schedulers"].as_array().expect("a list"))
        .filter_map(|scheduler| scheduler["type"].as_str())
        .collect();
    for known in snaphook_schedules::scheduler_types() {
        // MMEngine's own cannot be called with metrics.
        if known.name != "ReduceOnPlateauMomentum" {
            assert!(named.contains(&known.name.as_str()), "{}", known.name);
        }
    }
}
