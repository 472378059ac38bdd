// The jobs: how the queues stand, and what of one of them waits, runs, or came to nothing.
import { useEffect } from "preact/hooks";
import { followJobs, queues } from "../state/jobs";
import { JobList } from "./JobList";
import { JobQueues } from "./JobQueues";
import { JobTiles } from "./JobTiles";

export function JobsView() {
  useEffect(followJobs, []);
  return (
    <main class="view view-jobs">
      <h1 class="hidden">Jobs</h1>
      <JobTiles />
      <div class="row row-jobs">
        <JobQueues />
        {queues.value.rows?.length !== 0 && <JobList />}
      </div>
    </main>
  );
}
