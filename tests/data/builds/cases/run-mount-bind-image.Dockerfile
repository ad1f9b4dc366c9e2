FROM scratch AS none
FROM alpine
RUN --mount=from=alpine,src=/bin,dst=/imagebin ls /imagebin > /ls
