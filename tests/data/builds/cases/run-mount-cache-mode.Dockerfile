FROM alpine
RUN --mount=type=cache,target=/cm,mode=0700,uid=5,gid=6,id=cases-mode ls -ldn /cm | cut -c1-30 > /got
