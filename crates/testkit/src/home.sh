# Keeps a folder of servers: `sh -c THIS keeper DIR OWNER`. Waits until the owner is gone, then ends every process that works
# below DIR and deletes it. OWNER is a process id, or `-` for whoever holds the other end of standard input.
dir=$1
if [ "$2" = - ]; then read -r _; else while kill -0 "$2" 2>/dev/null; do sleep 0.2; done; fi
# A server is known by its working directory: process ids are used again, and children of PostgreSQL leave its group.
list() { find /proc/[0-9]* -maxdepth 1 -name cwd -lname "$dir/*" 2>/dev/null | cut -d/ -f3; }
signal=QUIT quiet=0 looks=0
while [ $quiet -lt 2 ]; do
  pids=$(list)
  if [ -n "$pids" ]; then
    quiet=0
    # Those that were stopped have to hear it, too.
    kill -s $signal $pids 2>/dev/null
    kill -s CONT $pids 2>/dev/null
  else
    quiet=$((quiet + 1))
  fi
  looks=$((looks + 1))
  [ $looks -lt 60 ] || signal=KILL
  sleep 0.03
done
# A killed PostgreSQL leaves a little shared memory, whose id is in its lock file.
find "$dir" -name postmaster.pid 2>/dev/null | while read -r lock; do
  ipcrm -m "$(sed -n '7s/.* //p' "$lock")" 2>/dev/null
done
rm -rf "$dir"
