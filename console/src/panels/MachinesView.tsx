// The machines: which processes serve, and what keeps their rows.
import { useEffect } from "preact/hooks";
import { followMachines } from "../state/machines";
import { MachineProcesses } from "./MachineProcesses";
import { MachineDatabases, MachineRedis } from "./MachineServers";
import { MachineTiles } from "./MachineTiles";

export function MachinesView() {
  useEffect(followMachines, []);
  return (
    <main class="view view-machines">
      <h1 class="hidden">Machines</h1>
      <MachineTiles />
      <div class="row row-machines">
        <MachineProcesses />
        <MachineDatabases />
        <MachineRedis />
      </div>
    </main>
  );
}
