# flags: --secret id=s,src=CONTEXT/a.txt
FROM alpine
RUN --mount=type=secret,id=s cat /run/secrets/s > /got; ls -l /run/secrets/s | cut -c1-10 > /mode
