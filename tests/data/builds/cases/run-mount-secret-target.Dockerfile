# flags: --secret id=s,src=CONTEXT/a.txt
FROM alpine
RUN --mount=type=secret,id=s,target=/etc/s,mode=0444,uid=3,gid=4 ls -ln /etc/s | cut -c1-30 > /got
