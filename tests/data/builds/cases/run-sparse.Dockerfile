FROM alpine
RUN dd if=/dev/zero of=/sparse bs=1 count=1 seek=1000000 2>/dev/null
