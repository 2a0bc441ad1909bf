# Write what systemctl says into a directory: `record.sh DIRECTORY`. The host has Python, for its clocks.
mkdir -p "$1" && cd "$1" || exit 1
systemctl show --property=Version,SystemState,NJobs,UnitsLoadTimestampMonotonic >manager.txt
systemctl list-units --all --output=json >units.json
systemctl list-timers --all --output=json "*.timer" >timers.json
systemctl show --property=Id,Result,Restart,NRestarts,InactiveExitTimestampMonotonic,AccuracyUSec,ControlGroup,TimersCalendar -- '*' >facts.txt
python3 -c 'import json, time; print(json.dumps({"wall": time.time(), "monotonic": time.monotonic()}))' >clocks.json
