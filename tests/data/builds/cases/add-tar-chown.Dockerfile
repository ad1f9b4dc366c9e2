FROM alpine
ADD --chown=7:8 plain.tar /t
