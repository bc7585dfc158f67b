//! What does the machine offer to this process: its kernel, limits, processors and their time?

mod sys;

pub(crate) use sys::{
    Resource, allowed_cpus, can_run_on, current_cpu, kernel_release, limit, own_cpus, processors,
    stay_on, thread_time,
};
