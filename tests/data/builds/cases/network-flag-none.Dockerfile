# flags: --network none
FROM alpine
RUN ls /sys/class/net > /n
