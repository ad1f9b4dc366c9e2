FROM alpine
ENV A= B=""
RUN env | grep '^[AB]=' | sort > /e
