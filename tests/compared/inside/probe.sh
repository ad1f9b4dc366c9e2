#!/bin/sh
# Prints what a container looks like from within: a line "@ name" before each part. Then it waits, unless "once".
# Needs nothing but busybox, and no right of any kind: what cannot be read is a fact as well.
# The words after it are what the service's command asks: they are in "cmdline".
part() { echo "@ $*"; }
part status; cat /proc/self/status
part identity; id
part umask; umask
part directory; pwd; readlink /proc/self/cwd
part cmdline; tr '\0' '\n' </proc/self/cmdline | tail -n +2; tr '\0' ' ' </proc/1/cmdline; echo
part environment; env
part limits; cat /proc/self/limits
part oom; cat /proc/self/oom_score_adj
part stdio; for fd in 0 1 2; do readlink /proc/self/fd/$fd; done; tty
part namespaces; for one in cgroup ipc mnt net pid user uts; do echo $one $(readlink /proc/self/ns/$one); done
part names; hostname; cat /proc/sys/kernel/domainname
[ "$1" = once ] && exit
part mounts; cat /proc/self/mountinfo
part devices; find /dev -mindepth 1 \( -path /dev/pts -o -path /dev/mqueue -o -path /dev/shm \) -prune -o -exec stat -c '%n %F %a %u:%g %t:%T %N' {} + 2>&1
part root; ls -lan / | tail -n +4
for file in hosts resolv.conf hostname; do part "etc $file"; stat -c '%a %u:%g' /etc/$file; cat /etc/$file; done
part files; for one in /run/secrets /secrets /configs /data /data2 /copied /scratch /mounted /some-config; do
  [ -e $one ] || continue; find $one -path '*/bin/*' -prune -o -exec stat -c '%n %F %a %u:%g %s' {} + 2>&1
  find $one -type f -size -3 -exec sh -c 'echo "$1 = $(head -n 1 "$1")"' - {} \; 2>&1; done
part sysctls; grep -rs . /proc/sys/net /proc/sys/kernel/sem /proc/sys/kernel/shm* /proc/sys/kernel/msg* /proc/sys/fs/mqueue
part cgroup; cat /proc/self/cgroup
part limits of the cgroup; cd /sys/fs/cgroup && for one in cpu/cpu.cfs_period_us cpu/cpu.cfs_quota_us cpu/cpu.shares \
  cpuset/cpuset.cpus cpuset/cpuset.mems memory/memory.limit_in_bytes memory/memory.memsw.limit_in_bytes \
  memory/memory.soft_limit_in_bytes memory/memory.swappiness memory/memory.oom_control pids/pids.max \
  blkio/blkio.weight blkio/blkio.bfq.weight blkio/blkio.throttle.read_bps_device blkio/blkio.throttle.write_iops_device \
  devices/devices.list cpu.max cpu.weight cpuset.cpus io.max io.weight memory.max memory.swap.max memory.low pids.max; do
  [ -e $one ] && sed "s|^|$one: |" $one; done; cd /
part links; ip link
part addresses; ip addr
part routes; ip route; ip -6 route
part names of others; for one in ${ASKED:-target target-too nowhere.invalid}; do
  echo "? $one"; timeout 3 nslookup $one 2>&1 | sed -n '/^Name/,$p;/NXDOMAIN/p;/can.t/p'; done
part reached; for one in $PINGED; do echo "$one $(ping -c 1 -W 1 $one >/dev/null 2>&1 && echo yes || echo no)"; done
part writable; for one in / /etc /tmp /dev /dev/shm /proc/sys/kernel/domainname /sys/fs/cgroup /run /data /scratch; do
  [ -w $one ] && echo $one; done
part first program; cat /proc/1/comm
part end
[ "$1" = ends ] || exec sleep 3600
