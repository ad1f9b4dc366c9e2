# flags: --shm-size 33554432 --ulimit nofile=1234:2345
FROM alpine
RUN df /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2 > /shm; ulimit -n > /n; ulimit -Hn > /hn
