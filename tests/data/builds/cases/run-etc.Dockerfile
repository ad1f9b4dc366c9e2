FROM alpine
RUN ls -A /etc > /ls; touch /etc/own
