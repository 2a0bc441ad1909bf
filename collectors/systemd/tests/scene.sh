# Make a systemd have every kind of trouble that the collector tells of: run as root on a host that is thrown away.
cd /etc/systemd/system || exit 1
unit() { printf "$2" >"$1"; }
unit flapping.service '[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/false\nRestart=always\nRestartSec=500ms\n'
unit limited.service '[Service]\nExecStart=/bin/false\nRestart=always\nRestartSec=10ms\n'
unit killed.service '[Service]\nExecStart=/bin/sh -c "kill -9 $$$$"\n'
unit broken.service '[Service]\nExecStart=/no/such/program\n'
unit slow.service '[Service]\nType=notify\nExecStart=/bin/sleep infinity\nTimeoutStartSec=1s\n'
unit stuck.service '[Service]\nType=notify\nExecStart=/bin/sleep infinity\nTimeoutStartSec=infinity\n'
unit after.service '[Unit]\nAfter=stuck.service\n[Service]\nExecStart=/bin/sleep infinity\n'
unit wants.service '[Unit]\nWants=absent.service masked.service\n[Service]\nExecStart=/bin/sleep infinity\n'
unit 'odd@.service' '[Service]\nExecStart=/bin/sleep infinity\nRestart=on-failure\n'
unit remains.service '[Service]\nType=oneshot\nExecStart=/bin/true\nRemainAfterExit=yes\n'
unit busy.service '[Service]\nType=oneshot\nExecStart=/bin/sleep infinity\n'
unit fails.service '[Service]\nType=oneshot\nExecStart=/bin/false\n'
for name in lost once never boots weekly; do
  unit "$name.service" '[Service]\nType=oneshot\nExecStart=/bin/true\n'
done
unit fails.timer '[Timer]\nOnActiveSec=1s\nAccuracySec=1s\nOnCalendar=weekly\n'
unit lost.timer '[Timer]\nOnActiveSec=3s\nAccuracySec=1s\n'
unit once.timer '[Timer]\nOnActiveSec=1s\nAccuracySec=1s\n'
unit never.timer '[Timer]\nOnUnitActiveSec=1h\n'
unit busy.timer '[Timer]\nOnActiveSec=1s\nOnCalendar=weekly\nAccuracySec=1s\n'
unit remains.timer '[Timer]\nOnActiveSec=1s\nOnUnitActiveSec=5s\nAccuracySec=1s\n'
unit boots.timer '[Timer]\nOnBootSec=1d\n'
unit weekly.timer '[Timer]\nOnCalendar=weekly\nPersistent=yes\nRandomizedDelaySec=1h\nOnActiveSec=20d\n'
ln -sf /dev/null masked.service
systemctl daemon-reload
systemctl start --no-block flapping stuck after limited killed broken slow wants 'odd@a:b_c.d\x2d\x40.service' \
  fails.timer lost.timer once.timer never.timer busy.timer remains.timer boots.timer weekly.timer
rm lost.service
systemctl daemon-reload
