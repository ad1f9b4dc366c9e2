FROM alpine
ADD --exclude=f2.log many/* /m/
