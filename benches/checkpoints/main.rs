//! What a checkpoint costs: a workspace of 10,000 files in 500 folders, of which 100 change between two checkpoints; and the
//! same by the `git` program, in the same run on the same files.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../measure/mod.rs"]
mod measure;
mod program;
mod workspace;

use std::path::Path;
use std::time::Instant;

use lapce_ai::git::{Commit, Place, Shadow};

use measure::{figure, load, median};
use workspace::Workspace;

/// First saves are measured so many times, each in a fresh repository.
const FIRST: usize = 3;

fn main() {
    load();
    let folder = tempfile::tempdir().unwrap();
    let mut workspace = Workspace::create(folder.path().join("workspace"));
    println!("# {} files, {} MiB", workspace::FILES, workspace.bytes >> 20);
    workspace.rest();
    first(folder.path(), &workspace);
    ours(folder.path(), &mut workspace);
    program::figures(folder.path(), &mut workspace);
    load();
}

fn place(folder: &Path, name: &str, workspace: &Workspace) -> Place {
    Place { git_dir: folder.join(name).join(".git"), work_tree: workspace.root.clone(), home: folder.join("home") }
}

fn first(folder: &Path, workspace: &Workspace) {
    let mut rounds: Vec<f64> = (0..FIRST)
        .map(|round| milliseconds(|| drop(Shadow::open(place(folder, &format!("first-{round}"), workspace)).unwrap())))
        .collect();
    println!("figure checkpoint.first_save {:.3} ms", median(&mut rounds));
}

fn ours(folder: &Path, workspace: &mut Workspace) {
    let shadow = Shadow::open(place(folder, "ours", workspace)).unwrap();
    let mut commits: Vec<Commit> = vec![shadow.base()];
    figure("checkpoint.save_unchanged", "ms", || {
        milliseconds(|| assert_eq!(shadow.save("Task: bench, Time: 0", false).unwrap(), None))
    });
    figure("checkpoint.save", "ms", || {
        workspace.change();
        milliseconds(|| commits.push(shadow.save("Task: bench, Time: 0", false).unwrap().expect("changed")))
    });
    figure("checkpoint.save_one", "ms", || {
        workspace.change_one();
        milliseconds(|| drop(shadow.save("Task: bench, Time: 0", false).unwrap().expect("changed")))
    });
    let last = commits.last().unwrap().clone();
    let before = commits[commits.len() - 2].clone();
    figure("checkpoint.diff", "ms", || {
        milliseconds(|| assert_eq!(shadow.diff(&before, Some(&last)).unwrap().len(), workspace::CHANGED))
    });
    figure("checkpoint.diff_work_tree", "ms", || {
        milliseconds(|| assert!(!shadow.diff(&last, None).unwrap().is_empty()))
    });
    let mut at = 0;
    figure("checkpoint.restore", "ms", || {
        at += 1;
        let target = if at % 2 == 1 { &before } else { &last };
        milliseconds(|| assert!(shadow.restore(target).unwrap().written.len() >= workspace::CHANGED))
    });
    figure("checkpoint.open", "ms", || milliseconds(|| drop(Shadow::open(place(folder, "ours", workspace)).unwrap())));
}

/// How long something took.
fn milliseconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64() * 1000.0
}
