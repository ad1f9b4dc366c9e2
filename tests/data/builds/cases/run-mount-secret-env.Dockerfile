# flags: --secret id=s,src=CONTEXT/ws/file
FROM alpine
RUN --mount=type=secret,id=s,env=TOKEN echo "$TOKEN" > /got
