FROM alpine
ENV V=foobar.tar.gz EMPTY= 
ENV A=${V:-x} B=${U:-x} C=${EMPTY:-x} D=${EMPTY-x} E=${U-x} F=${V:+set} G=${U:+set} H=${EMPTY:+set} I=${EMPTY+set}
ENV J=${V#*o} K=${V##*o} L=${V%.*} M=${V%%.*} N=${V/o/0} O=${V//o/0} P=${V/%.gz/}
ENV Q=${U:-${V:-nested}} R=\$V S=\${V} T='$V' W="${V}s"
