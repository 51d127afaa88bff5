//! What every benchmark prints: `figure <name> <value> <unit>`, the middle of all rounds, with the quietest round in a
//! comment; and the machine's load before and after, by which figures of a busy machine are known.

/// Rounds of a figure.
pub const ROUNDS: usize = 9;

/// Prints how busy the machine is.
pub fn load() {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    println!("# load {} cpus {cpus} rounds {ROUNDS}", load.trim());
}

/// Measures and prints a figure of [`ROUNDS`] rounds.
pub fn figure(name: &str, unit: &str, mut round: impl FnMut() -> f64) {
    let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| round()).collect();
    println!("figure {name} {:.3} {unit}", median(&mut rounds));
    let quietest = if unit.ends_with("/s") { rounds[ROUNDS - 1] } else { rounds[0] };
    println!("# {name} quietest {quietest:.3} {unit}");
}

/// The middle value; sorts them.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
